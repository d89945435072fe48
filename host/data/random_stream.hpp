#pragma once

#include <cstdint>

#include "sea/philox.hpp"

namespace sea {

/// Made-up numbers, one after the other: stream `stream` of `seed`. Only integer arithmetic and exact float
/// operations, so that the bits are the same everywhere.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::int64_t stream) : seed_(seed), stream_(stream) {}

  /// Uniform in [0, bound).
  std::uint32_t below(std::uint32_t bound) {
    const Philox4x32 bits{{word(), word(), 0, 0}};
    return uniform_below(bits, bound);
  }
  /// Uniform in [0, 1).
  float uniform() { return uniform_float(word()); }
  /// Bell-shaped, mean 0, variance 1, within +-3.47: the sum of four 16-bit uniform numbers.
  float bell() {
    const std::uint32_t first = word(), second = word();
    return bell_of(first, second);
  }
  /// `count` bell-shaped numbers times `scale`, added to `values`; starts at a fresh block of bits.
  void add_bells(float* values, std::int64_t count, float scale) {
    left_ = 0;
    for (std::int64_t j = 0; j + 1 < count; j += 2) {
      const Philox4x32 bits = next_block();
      values[j] += scale * bell_of(bits.word[0], bits.word[1]);
      values[j + 1] += scale * bell_of(bits.word[2], bits.word[3]);
    }
    if (count % 2 != 0) values[count - 1] += scale * bell();
  }

 private:
  static float bell_of(std::uint32_t first, std::uint32_t second) {
    const std::uint32_t sum = (first & 0xFFFFu) + (first >> 16) + (second & 0xFFFFu) + (second >> 16);
    // The sum has mean 2 * 65535 and variance (2^32 - 1) / 3.
    return (static_cast<float>(sum) - 131070.0f) * (1.7320508f / 65536.0f);
  }
  Philox4x32 next_block() { return random_bits(seed_, RandomPurpose::synthetic, stream_, block_++); }
  std::uint32_t word() {
    if (left_ == 0) {
      bits_ = next_block();
      left_ = 4;
    }
    return bits_.word[--left_];
  }

  std::uint64_t seed_;
  std::int64_t stream_;
  std::int64_t block_ = 0;
  Philox4x32 bits_{};
  int left_ = 0;
};

}  // namespace sea
