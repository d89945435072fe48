#pragma once

#include <cstdint>

#include "sea/philox.hpp"

namespace sea {

/// A pseudorandom bijection of [0, size), computed per index without a sort: a Feistel network on the
/// smallest power of two that holds `size`, walked along its cycles until it lands inside. 8 rounds, and 32
/// up to size 128: on so few bits even ideal round functions need more than 16 before all orders are equally
/// likely. `size` is in [1, 2^31).
struct KeyedPermutation {
  std::uint32_t size = 1;
  int low_bits = 1;   ///< width of the lower half
  int high_bits = 1;  ///< width of the upper half
  int rounds = 8;
  Philox4x32 keys[2] = {};

  SEA_HOST_DEVICE KeyedPermutation(std::uint64_t seed, RandomPurpose purpose, std::int64_t step,
                                   std::uint32_t size_)
      : size(size_) {
    int bits = 2;
    while (bits < 32 && (std::uint64_t{1} << bits) < size) ++bits;
    low_bits = bits / 2;
    high_bits = bits - low_bits;
    if (bits < 8) rounds = 32;
    keys[0] = random_bits(seed, purpose, step, 0);
    keys[1] = random_bits(seed, purpose, step, 1);
  }

  /// Where `index` goes. O(1) expected: at most half of the domain lies outside.
  SEA_HOST_DEVICE std::uint32_t operator()(std::uint32_t index) const {
    do {
      index = encrypt(index);
    } while (index >= size);
    return index;
  }

 private:
  // A 32-bit finaliser found by exhaustive search (C. Wellons, "Prospecting for hash functions").
  SEA_HOST_DEVICE static std::uint32_t mix(std::uint32_t x) {
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    x ^= x >> 16;
    return x;
  }

  SEA_HOST_DEVICE std::uint32_t encrypt(std::uint32_t index) const {
    const std::uint32_t low_mask = (1u << low_bits) - 1u;
    const std::uint32_t high_mask = (1u << high_bits) - 1u;
    std::uint32_t low = index & low_mask;
    std::uint32_t high = index >> low_bits;
    for (int round = 0; round < rounds; round += 2) {
      const std::uint32_t* key = keys[round / 4 % 2].word + round % 4;
      const std::uint32_t lap = static_cast<std::uint32_t>(round / 8) * 0x9E3779B9u;
      high ^= mix(low ^ (key[0] + lap)) & high_mask;
      low ^= mix(high ^ (key[1] + lap)) & low_mask;
    }
    return high << low_bits | low;
  }
};

}  // namespace sea
