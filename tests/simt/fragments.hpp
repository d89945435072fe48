#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "simt/helpers.hpp"

// What the emulated instructions of the tensor cores have in common, whatever the format of A and B.
namespace sea::simt {

/// A lane's registers of D, A and B.
struct Fragments {
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

inline const Fragments& fragments_of(const WarpPayloads& payloads, int lane) {
  return *static_cast<const Fragments*>(payloads.payload[lane]);
}

/// The sum of `count` addends in each of 8 columns, as the tensor cores make it: all are aligned to the
/// largest one, and what lies below its 24th bit behind the first is cut off; the sum is rounded to zero. A
/// NaN is the one that a GPU makes.
template <int count>
void sum_aligned(const double (&addends)[count][8], float (&sums)[8]) {
  double largest[8] = {}, plain[8] = {};
  for (int i = 0; i < count; ++i) {
    for (int column = 0; column < 8; ++column) {
      const double size = std::fabs(addends[i][column]);
      largest[column] = size > largest[column] ? size : largest[column];
      plain[column] += addends[i][column];
    }
  }
  double unit[8], inverse[8];
  for (int column = 0; column < 8; ++column) {
    constexpr double smallest = 0x1p-900;  // of no product of two floats; for columns of zeros
    const double bounded = largest[column] > smallest ? largest[column] : smallest;
    unit[column] =
        std::bit_cast<double>(std::bit_cast<std::uint64_t>(bounded) & 0x7FF0000000000000u) * 0x1p-24;
    inverse[column] = 1.0 / unit[column];
  }
  std::int32_t units[8] = {};
  for (int i = 0; i < count; ++i) {
    for (int column = 0; column < 8; ++column)
      units[column] += static_cast<std::int32_t>(
          std::isfinite(plain[column]) ? addends[i][column] * inverse[column] : 0.0);
  }
  for (int column = 0; column < 8; ++column) {
    sums[column] = std::isfinite(plain[column])     ? toward_zero(units[column] * unit[column])
                   : plain[column] != plain[column] ? std::bit_cast<float>(0x7FFFFFFFu)
                                                    : static_cast<float>(plain[column]);
  }
}

/// D += A B. With group = lane / 4 and place = lane % 4, a lane holds of D the rows group and group + 8 and
/// the columns 2 place and 2 place + 1. As an A100 does it, half of the depth after the other; an H100 takes
/// all at once and keeps one bit more (Khattak and Mikaitis, "Accurate Models of NVIDIA Tensor Cores", 2025).
template <int depth>
void accumulate(const WarpPayloads& payloads, const float (&a)[16][depth], const float (&b)[depth][8]) {
  for (int row = 0; row < 16; ++row) {
    const auto element = [&](int column) -> float& {
      return fragments_of(payloads, row % 8 * 4 + column / 2).d[row / 8 * 2 + column % 2];
    };
    float sums[8];
    for (int column = 0; column < 8; ++column) sums[column] = element(column);
    for (int first = 0; first < depth; first += depth / 2) {
      double addends[depth / 2 + 1][8];
      for (int column = 0; column < 8; ++column) addends[depth / 2][column] = sums[column];
      for (int k = 0; k < depth / 2; ++k) {
        const double left = a[row][first + k];
        for (int column = 0; column < 8; ++column)
          addends[k][column] = left * static_cast<double>(b[first + k][column]);
      }
      sum_aligned(addends, sums);
    }
    for (int column = 0; column < 8; ++column) element(column) = sums[column];
  }
}

}  // namespace sea::simt
