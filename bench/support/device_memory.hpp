#pragma once

#include <cstdint>
#include <optional>

#include "sea/backend.hpp"

namespace sea::bench {

struct DeviceMemory {
  /// The most bytes there ever were: on the processor what the process had resident, on a GPU what was
  /// allocated, with what libraries hold.
  std::int64_t bytes = 0;
  std::optional<std::int64_t> library_bytes;  ///< on a GPU: the libraries' part of it
  /// On a GPU, beside `bytes`: what else of its memory is not free, CUDA's context and whatever other
  /// processes hold.
  std::optional<std::int64_t> context_bytes;
};

DeviceMemory peak_memory(const Backend& backend);

}  // namespace sea::bench
