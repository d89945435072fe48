#include "data/neighbour_cache.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <system_error>

#include "data/safetensors.hpp"
#include "sea/error.hpp"

namespace sea {

namespace fs = std::filesystem;

namespace {

constexpr const char* array_name = "neighbours";

/// The version is that of the lists' definition: another rule for ties, say, is another version.
fs::path file_of(const fs::path& folder, const NeighbourLists& lists) {
  return folder / fmt::format("neighbours-1-{}-{}x{}-{}.safetensors", lists.fingerprint, lists.items,
                              lists.width, lists.k);
}

}  // namespace

std::optional<fs::path> cache_folder() {
  if (const char* named = std::getenv("SEA_CACHE")) {
    return *named == '\0' ? std::nullopt : std::optional<fs::path>(named);
  }
  if (const char* base = std::getenv("XDG_CACHE_HOME"); base != nullptr && fs::path(base).is_absolute())
    return fs::path(base) / "sea";
  std::error_code error;
  if (const char* home = std::getenv("HOME"); home != nullptr && fs::is_directory(home, error))
    return fs::path(home) / ".cache" / "sea";
  return std::nullopt;
}

std::optional<std::vector<std::int32_t>> read_neighbours(const fs::path& folder,
                                                         const NeighbourLists& lists) {
  const fs::path file = file_of(folder, lists);
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  try {
    const Safetensors kept = Safetensors::read(file);
    const std::vector<std::int64_t> ids = kept.integers(array_name);
    const bool fits =
        kept.shape(array_name) == std::vector{lists.items, lists.k} &&
        std::all_of(ids.begin(), ids.end(), [&](std::int64_t id) { return id >= 0 && id < lists.items; });
    if (!fits) return std::nullopt;
    return std::vector<std::int32_t>(ids.begin(), ids.end());
  } catch (const Error&) {
    return std::nullopt;
  }
}

void keep_neighbours(const fs::path& folder, const NeighbourLists& lists,
                     const std::vector<std::int32_t>& ids) {
  const fs::path file = file_of(folder, lists);
  // Of this process alone: others may be about to keep the same lists.
  fs::path own = file;
  own.replace_extension(fmt::format(".{}", ::getpid()));
  try {
    const std::vector<std::int64_t> wide(ids.begin(), ids.end());
    fs::create_directories(folder);
    write_safetensors(own, {{array_name, "I64", {lists.items, lists.k}, wide.data()}}, {});
    fs::rename(own, file);
  } catch (const std::exception&) {
    std::error_code error;
    fs::remove(own, error);
  }
}

}  // namespace sea
