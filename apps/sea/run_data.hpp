#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "data/dataset.hpp"
#include "training/device.hpp"
#include "training/run_folder.hpp"

namespace sea {

/// A trained run and the interactions it was trained on; features are not read.
struct RunData {
  RunDescription description;
  Dataset dataset;
};

/// `data` takes the place of the folder that config.json names. Throws Error where the interactions are not
/// those of the run.
RunData load_run(const std::filesystem::path& run, const std::optional<std::filesystem::path>& data);

/// What `--device` and `--threads` ask for. Throws UsageError that names the option, and Error where there is
/// no such device.
Device open_device_of(const std::string& device, const std::string& threads);

/// Where what is trained on `data` goes unless it is said: runs/DATA-MODEL-WHAT.
std::filesystem::path default_folder(const std::filesystem::path& data, const std::string& model,
                                     const std::string& what);

}  // namespace sea
