#pragma once

#include <cstdint>

#include "sea/host_device.hpp"

namespace sea {

/// What a random number is for. A draw is a pure function of (seed, purpose, step, index, stream): no
/// generator is ever advanced, so any draw can be made anywhere, in any order, again. `stream` tells apart
/// draws that agree in all else: the attempts at one negative, the matrices that one step fills.
enum class RandomPurpose : std::uint32_t {
  shuffle = 1,             ///< order of the training pairs; step = epoch
  negative = 2,            ///< negatives; step = training step, index = position in the batch
  permutation = 3,         ///< of rows; step = training step
  second_permutation = 4,  ///< another one in the same step
  samples = 5,             ///< distinct rows; step = training step
  initial_value = 6,       ///< parameters; step = a hash of the name, index = draw
  synthetic = 7,           ///< made-up data
  prune = 8,               ///< edges of an epoch: step = epoch, index = pair, or row with stream = place
  dropout = 9,             ///< masks; step = training step, index = four elements of a row, stream = matrix
  noise = 10,              ///< likewise
  batch_user = 11,         ///< users of a batch; step = training step, index = position in the batch
  batch_item = 12,         ///< one training item of each; likewise
};

struct Philox4x32 {
  std::uint32_t word[4];
};

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Host and device
/// draw the same bits.
SEA_HOST_DEVICE inline Philox4x32 philox4x32_10(Philox4x32 counter, std::uint64_t key) {
  std::uint32_t key0 = static_cast<std::uint32_t>(key);
  std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// The 128 random bits of one draw.
SEA_HOST_DEVICE inline Philox4x32 random_bits(std::uint64_t seed, RandomPurpose purpose, std::int64_t step,
                                              std::int64_t index, std::uint32_t stream = 0) {
  // The purpose fits a byte; its word also takes bits 32 to 39 of step and index.
  return philox4x32_10(
      {{static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(index),
        static_cast<std::uint32_t>(purpose) | (static_cast<std::uint32_t>(step >> 32) & 0xFFu) << 8 |
            (static_cast<std::uint32_t>(index >> 32) & 0xFFu) << 16,
        stream}},
      seed);
}

/// An integer uniform in [0, bound) from 64 random bits; the bias is below bound / 2^64.
SEA_HOST_DEVICE inline std::uint32_t uniform_below(const Philox4x32& bits, std::uint32_t bound) {
  // (high * 2^32 + low) * bound / 2^64, without a 128-bit product.
  const std::uint64_t low = (std::uint64_t{bits.word[0]} * bound) >> 32;
  return static_cast<std::uint32_t>((std::uint64_t{bits.word[1]} * bound + low) >> 32);
}

/// A float uniform in [0, 1) with 24 random bits.
SEA_HOST_DEVICE inline float uniform_float(std::uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1.0p-24f;
}

/// A float uniform in (0, 1) with 23 random bits: the odd multiples of 2^-24, evenly around 1/2.
SEA_HOST_DEVICE inline float open_uniform_float(std::uint32_t word) {
  return static_cast<float>(word >> 9 << 1 | 1u) * 0x1.0p-24f;
}

}  // namespace sea
