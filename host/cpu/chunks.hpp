#pragma once

#include <algorithm>
#include <cstdint>

namespace sea::cpu {

/// Consecutive blocks cut into a few chunks whose sizes differ by at most one. The cut depends on the two
/// numbers alone, so that partial sums a chunk, added in the order of chunks, have the same bits on any
/// number of threads.
class Chunks {
 public:
  constexpr Chunks(std::int64_t blocks, std::int64_t most)
      : blocks_(blocks), count_(std::min(blocks, most)) {}

  constexpr std::int64_t count() const { return count_; }
  /// Chunk c holds the blocks [first(c), first(c + 1)).
  constexpr std::int64_t first(std::int64_t chunk) const { return chunk * blocks_ / count_; }

 private:
  std::int64_t blocks_;
  std::int64_t count_;
};

}  // namespace sea::cpu
