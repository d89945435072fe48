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
/// scaled), seconds_per_epoch (sampling and steps), processor_seconds_per_epoch (of all threads together),
/// evaluation_seconds, memory_bytes. On a GPU also library_bytes and context_bytes. Memory is as
/// device_memory.hpp says.
nlohmann::ordered_json measure_epoch(const MeasurementRequest& request);

}  // namespace sea::bench
