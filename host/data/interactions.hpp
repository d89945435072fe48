#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/host_matrix.hpp"

namespace sea {

/// The interactions of a data folder, read and cleaned, before any feature is looked at.
struct Interactions {
  std::string name;              ///< of the data set: its folder's
  std::filesystem::path folder;  ///< absolute
  std::filesystem::path file;    ///< `folder/name.inter`
  std::int64_t users = 0;        ///< 1 + the largest id
  std::int64_t items = 0;
  HostCsr train, valid, test;  ///< one row a user, ids ascending and distinct
  std::vector<std::string> notices;
};

/// Reads `<folder>/<basename>.inter`. A split may turn out empty here (see check_splits). Throws Error with
/// file, line and value for everything that is not in the format, and where ids are so large that their index
/// would not fit in `memory` bytes.
Interactions read_interactions(const std::filesystem::path& folder, std::int64_t memory);

/// The interactions in `text`, which the messages say is that of `file`; `name` and `folder` stay empty.
Interactions parse_interactions(const std::filesystem::path& file, std::string_view text,
                                std::int64_t memory);

/// Throws Error where the training, validation or test split has no pair.
void check_splits(const Interactions& interactions);

}  // namespace sea
