#include <bit>
#include <cmath>

#include "simt/fragments.hpp"
#include "simt/helpers.hpp"

namespace sea::cuda {

namespace {

/// The tensor cores see the sign, the exponent and ten bits of an operand.
float as_operand(std::uint32_t bits) {
  const auto whole = std::bit_cast<float>(bits);
  return whole != whole ? whole : std::bit_cast<float>(bits & 0xFFFFE000u);
}

// PTX ISA, "Matrix Fragments for mma.m16n8k8": with group = lane / 4 and place = lane % 4, a lane holds of A
// the rows group and group + 8 and the columns place and place + 4, of B the rows place and place + 4 and the
// column group, of D the rows group and group + 8 and the columns 2 place and 2 place + 1.
void multiply(const simt::WarpPayloads& payloads) {
  float a[16][8], b[8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const simt::Fragments& own = simt::fragments_of(payloads, lane);
    const int group = lane / 4, place = lane % 4;
    for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][place + i / 2 * 4] = as_operand(own.a[i]);
    for (int i = 0; i < 2; ++i) b[place + i * 4][group] = as_operand(own.b[i]);
  }
  simt::accumulate(payloads, a, b);
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
  simt::Fragments own{d, a, b};
  simt::warp_collective("mma_m16n8k8_tf32", 0xFFFFFFFFu, &multiply, &own, site);
}

}  // namespace sea::cuda
