#pragma once

#include <filesystem>
#include <optional>

#include "data/dataset.hpp"
#include "run_data.hpp"
#include "sea/backend.hpp"
#include "training/fold_in.hpp"

namespace sea {

/// What `sea recommend` is told of people and items that were not in training.
struct NewcomerFiles {
  std::optional<std::filesystem::path> history;    ///< lines of a person and an item, parted by a tab
  std::optional<std::filesystem::path> new_items;  ///< a folder with the feature files of the run

  bool any() const { return history || new_items; }
};

/// Adds the newcomers to the users and items of `run`, behind those, and returns them. Throws Error where
/// the model has no place for them, or the data are not those that it was trained on.
Newcomers take_in(Backend& backend, const NewcomerFiles& files, const std::filesystem::path& folder,
                  RunData& run);

}  // namespace sea
