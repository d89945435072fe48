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
  for (int lane = 0; lane < 32; ++lane) {
    const Fragments& own = fragments_of(payloads, lane);
    const int group = lane / 4, place = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = group + i / 2 * 8, column = 2 * place + i % 2;
      double sum = own.d[i];
      for (int k = 0; k < depth; ++k)
        sum += static_cast<double>(a[row][k]) * static_cast<double>(b[k][column]);
      own.d[i] = sum != sum ? std::bit_cast<float>(0x7FFFFFFFu) : toward_zero(sum);
    }
  }
}

}  // namespace sea::simt
