#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sea::bench {

struct MeasurementRequest {
  std::string model;
  std::filesystem::path data;
  std::string device = "auto";
  std::int64_t threads = 0;
  std::int64_t batches = 0;  ///< of an epoch to time; 0: all
};

/// Trains a model in this process, whose peak memory is then that of the model's: two steps to warm up, an
/// epoch or a part of it, and one evaluation on validation and test. Keys: model, device, backend, threads,
/// batches_per_epoch, batches_measured, scaled (whether the epoch's seconds are those of fewer batches,
/// scaled), seconds_per_epoch (sampling and steps), evaluation_seconds, memory_bytes. On the processor the
/// memory is the most that the process had resident; on a GPU what the model and libraries had allocated at
/// most, with library_bytes, a part of it, and context_bytes, beside it.
nlohmann::ordered_json measure_epoch(const MeasurementRequest& request);

/// Device memory in use that is neither `allocated` nor free: CUDA's context, with whatever other processes
/// hold. 0 without CUDA.
std::int64_t context_bytes(std::int64_t allocated);

}  // namespace sea::bench
