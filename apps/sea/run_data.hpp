#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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

/// The data that a run was trained on, with its model's features. Throws Error, for `option`, where they are
/// others now.
Dataset load_data_of(const RunData& run, const std::filesystem::path& folder, const std::string& option);

/// The data that `configuration` trains on, with its model's features. Throws Error; where features are
/// missing it names the models that need none.
Dataset load_training_data(const std::filesystem::path& folder, const Configuration& configuration);

/// The models that read no features.
std::vector<std::string> models_without_features();

/// Throws Error where `folder` is none of a run but holds runs, those of several seeds or of a search, and
/// names the best of them.
void refuse_folder_of_runs(const std::filesystem::path& folder);

/// The runs that `folder` stands for: itself, or those of several seeds that it holds. Throws Error where it
/// is the folder of a search, or where the runs in it differ in more than their seed.
std::vector<std::filesystem::path> runs_of_seeds(const std::filesystem::path& folder);

/// Whether a training or a search may begin in `folder`: it is not there, or has nothing but what one leaves
/// that was killed as it began. Throws Error where it is anything but a folder.
bool is_free(const std::filesystem::path& folder);

/// What `--device` and `--threads` ask for. Throws UsageError that names the option, and Error where there is
/// no such device; a notice says where `auto` passed over a GPU.
Device open_device_of(const std::string& device, const std::string& threads);

/// Where what is trained on `data` goes unless it is said: runs/DATA-MODEL-WHAT.
std::filesystem::path default_folder(const std::filesystem::path& data, const std::string& model,
                                     const std::string& what);

}  // namespace sea
