#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace sea::test {

/// Counts a test that cannot run here, with the reason; the last line of the test program says how many.
void skip(const std::string& reason);

/// The folder with golden cases and real data sets: `$SEA_SHARED`, else `shared` beside the repository. Where
/// it does not exist, counts a skip and returns nothing.
std::optional<std::filesystem::path> shared_folder();

}  // namespace sea::test
