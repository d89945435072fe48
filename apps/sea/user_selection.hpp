#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace sea {

/// The users that recommendations are asked for, as the command line names them.
struct UserSelection {
  std::vector<std::string> ids;               ///< of --user: original ids where there are some, else numbers
  std::vector<std::string> numbers;           ///< of --user-index
  std::optional<std::filesystem::path> file;  ///< of --user-file: a line each, as --user has them
  bool all = false;
};

/// Whether somebody is named. Throws UsageError where nobody is, unless there are `others`, and where
/// somebody is beside all.
bool check_users(const UserSelection& selection, bool others = false);

/// Their numbers: those of --user, of --user-index and of the file, in this order, or all. Throws Error, or
/// UsageError for what is no number, that names the user who is unknown.
std::vector<std::int32_t> find_users(const UserSelection& selection, const Dataset& dataset);

}  // namespace sea
