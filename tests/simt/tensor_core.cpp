#include <bit>
#include <cmath>

#include "simt/helpers.hpp"

namespace sea::cuda {

namespace {

struct Fragments {
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

/// The tensor cores see the sign, the exponent and ten bits of an operand.
float as_operand(std::uint32_t bits) {
  const auto whole = std::bit_cast<float>(bits);
  return whole != whole ? whole : std::bit_cast<float>(bits & 0xFFFFE000u);
}

// PTX ISA, "Matrix Fragments for mma.m16n8k8": with group = lane / 4 and place = lane % 4, a lane holds of A
// the rows group and group + 8 and the columns place and place + 4, of B the rows place and place + 4 and the
// column group, of D the rows group and group + 8 and the columns 2 place and 2 place + 1.
void multiply(const simt::WarpPayloads& payloads) {
  const auto fragments = [&](int lane) -> const Fragments& {
    return *static_cast<const Fragments*>(payloads.payload[lane]);
  };
  float a[16][8], b[8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const Fragments& own = fragments(lane);
    const int group = lane / 4, place = lane % 4;
    for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][place + i / 2 * 4] = as_operand(own.a[i]);
    for (int i = 0; i < 2; ++i) b[place + i * 4][group] = as_operand(own.b[i]);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const Fragments& own = fragments(lane);
    const int group = lane / 4, place = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = group + i / 2 * 8, column = 2 * place + i % 2;
      double sum = own.d[i];
      for (int k = 0; k < 8; ++k) sum += static_cast<double>(a[row][k]) * static_cast<double>(b[k][column]);
      own.d[i] = sum != sum ? std::bit_cast<float>(0x7FFFFFFFu) : simt::toward_zero(sum);  // a GPU's NaN
    }
  }
}

}  // namespace

std::uint32_t to_tf32(float x) {
  // cvt.rna: to the nearest, ties away from zero. Infinities and NaN stay.
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
  return finite ? (bits + 0x1000u) & 0xFFFFE000u : bits;
}

void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                      simt::Site site) {
  Fragments own{d, a, b};
  simt::warp_collective("mma_m16n8k8_tf32", 0xFFFFFFFFu, &multiply, &own, site);
}

}  // namespace sea::cuda
