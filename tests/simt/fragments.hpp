#pragma once

#include <bit>
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

/// D += A B. With group = lane / 4 and place = lane % 4, a lane holds of D the rows group and group + 8 and
/// the columns 2 place and 2 place + 1. The sum is exact, then rounded to zero; a NaN is the one that a GPU
/// makes.
template <int depth>
void accumulate(const WarpPayloads& payloads, const float (&a)[16][depth], const float (&b)[depth][8]) {
  for (int row = 0; row < 16; ++row) {
    const auto element = [&](int column) -> float& {
      return fragments_of(payloads, row % 8 * 4 + column / 2).d[row / 8 * 2 + column % 2];
    };
    double sums[8];  // by rows, so that the compiler makes one instruction of the eight
    for (int column = 0; column < 8; ++column) sums[column] = element(column);
    for (int k = 0; k < depth; ++k) {
      const double left = a[row][k];
      for (int column = 0; column < 8; ++column) sums[column] += left * static_cast<double>(b[k][column]);
    }
    for (int column = 0; column < 8; ++column)
      element(column) =
          sums[column] != sums[column] ? std::bit_cast<float>(0x7FFFFFFFu) : toward_zero(sums[column]);
  }
}

}  // namespace sea::simt
