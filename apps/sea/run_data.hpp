#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "data/dataset.hpp"
#include "training/checkpoint.hpp"
#include "training/device.hpp"
#include "training/run_folder.hpp"

namespace sea {

/// A trained run, what it learned, and its interactions; features are not read.
struct RunData {
  RunDescription description;
  Representations representations;
  Dataset dataset;
};

/// `data` takes the place of the folder that config.json names; `file` has the representations. Interactions
/// may have come in since, with a notice; throws Error where there are other users or items than those of the
/// run.
RunData load_run(const std::filesystem::path& run, const std::optional<std::filesystem::path>& data,
                 const std::filesystem::path& file);

/// What `--device` and `--threads` ask for. Throws UsageError that names the option, and Error where there is
/// no such device.
Device open_device_of(const std::string& device, const std::string& threads);

/// Where what is trained on `data` goes unless it is said: runs/DATA-MODEL-WHAT.
std::filesystem::path default_folder(const std::filesystem::path& data, const std::string& model,
                                     const std::string& what);

}  // namespace sea
