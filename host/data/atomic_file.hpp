#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

namespace sea {

/// Writes `file` so that it is there whole or not at all: `write` fills a temporary file in the same folder, which
/// is flushed to the disk and renamed over `file`. On failure the temporary file is removed and Error is thrown,
/// naming the file and the reason (a full disk, say).
void write_atomically(const std::filesystem::path& file, const std::function<void(std::ostream&)>& write);

}  // namespace sea
