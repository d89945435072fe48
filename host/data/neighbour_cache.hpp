#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sea {

/// What neighbour lists are of, and all that they depend on: they are the same on every backend.
struct NeighbourLists {
  std::string fingerprint;  ///< of the features, see ItemFeatures
  std::int64_t items = 0, width = 0, k = 0;
};

/// Where neighbour lists are kept from one run to the next: the folder that $SEA_CACHE names, else `sea` in
/// $XDG_CACHE_HOME (where absolute), else ~/.cache/sea. Nothing where SEA_CACHE is empty, or home is no
/// folder.
std::optional<std::filesystem::path> cache_folder();

/// The lists kept in `folder`, items x k ids; nothing where they are not there, or damaged.
std::optional<std::vector<std::int32_t>> read_neighbours(const std::filesystem::path& folder,
                                                         const NeighbourLists& lists);

/// Keeps `ids` (items x k), making the folder where it is missing. Where that fails, a full disk say, nothing
/// is kept: the next run computes them again.
void keep_neighbours(const std::filesystem::path& folder, const NeighbourLists& lists,
                     const std::vector<std::int32_t>& ids);

}  // namespace sea
