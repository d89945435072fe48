#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "training/run_folder.hpp"
#include "training/trainer.hpp"

namespace sea {

/// What result.json of a finished run says.
struct RunResult {
  RunDescription description;
  TrainingResult training;  ///< stopped by early stopping or by its epochs
  double total_seconds = 0.0;
  std::string device;
  std::int64_t threads = 0;
};

nlohmann::ordered_json to_json(const RunResult& result);

/// Nothing where `run` has no result. Throws Error where it is damaged.
std::optional<RunResult> read_result(const std::filesystem::path& run);

}  // namespace sea
