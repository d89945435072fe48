#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.hpp"
#include "data/host_matrix.hpp"
#include "sea/backend.hpp"
#include "training/run_folder.hpp"

namespace sea {

/// The names of the models that tell generic from unique parts, see ModelDescription::parts.
std::vector<std::string> models_with_parts();

/// The items' parts of a run by name: the model is built again on `dataset`, whose features are freed, and
/// evaluated with the best parameters.
std::vector<std::pair<std::string, HostMatrix>> item_parts(Backend& backend, const std::filesystem::path& run,
                                                           const RunDescription& description,
                                                           Dataset& dataset);

}  // namespace sea
