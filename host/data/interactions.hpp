#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/host_matrix.hpp"

namespace sea {

/// Which splits are trained on; what is trained on is held out no more.
enum class TrainOn { train, train_and_valid, all };

/// The interactions of a data folder, read and cleaned, before any feature is looked at.
struct Interactions {
  std::string name;              ///< of the data set: its folder's
  std::filesystem::path folder;  ///< absolute
  std::filesystem::path file;    ///< `folder/name.inter`, or the folder's only .inter file
  std::int64_t users = 0;        ///< 1 + the largest id
  std::int64_t items = 0;
  HostCsr train, valid, test;  ///< one row per user, ids ascending and distinct
  std::vector<std::string> notices;
};

/// Reads `<folder>/<basename>.inter`, or the only .inter file of a folder that was renamed. A split may turn
/// out empty. Throws Error with file, line and value for everything that is not in the format, and where ids
/// are so large that their index would not fit in `memory` bytes.
Interactions read_interactions(const std::filesystem::path& folder, std::int64_t memory,
                               TrainOn train_on = TrainOn::train);

/// The interactions in `text`, which the messages say is that of `file`; `name` and `folder` stay empty.
Interactions parse_interactions(const std::filesystem::path& file, std::string_view text, std::int64_t memory,
                                TrainOn train_on = TrainOn::train);

/// Throws Error where there is no training pair.
void check_training(const Interactions& interactions);

}  // namespace sea
