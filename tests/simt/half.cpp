#include "simt/half.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "simt/fragments.hpp"
#include "simt/helpers.hpp"

namespace sea::cuda {

namespace {

/// To the nearest half, ties to even; a NaN is the one that a GPU makes.
std::uint16_t to_half(float x) {
  const auto sign = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 31 << 15);
  if (x != x) return 0x7FFF;
  const double size = std::fabs(static_cast<double>(x));
  if (size >= 65520.0) return sign | 0x7C00;
  if (size == 0.0) return sign;
  int exponent = 0;
  std::frexp(size, &exponent);                        // size < 2^exponent
  const int last_bit = std::max(exponent - 11, -24);  // of ten bits of mantissa, or of a subnormal
  const double steps = std::nearbyint(std::ldexp(size, -last_bit));
  // Steps of a normal half count from 1024; a carry into the next exponent comes by itself.
  const int bits = static_cast<int>(steps) + (last_bit + 24) * 1024;
  return static_cast<std::uint16_t>(sign | bits);
}

float from_half(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half} >> 15 << 31, exponent = half >> 10 & 31,
                      mantissa = half & 1023;
  if (exponent == 31 && mantissa != 0) return std::bit_cast<float>(0x7FFFFFFFu);
  if (exponent == 0) {
    const float size = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -size : size;
  }
  return std::bit_cast<float>(sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | mantissa << 13);
}

// PTX ISA, "Matrix Fragments for mma.m16n8k16", floating point of 16 bits.
void multiply(const simt::WarpPayloads& payloads) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const simt::Fragments& own = simt::fragments_of(payloads, lane);
    const int group = lane / 4, place = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const float2 pair = from_halves(own.a[i]);
      const int row = group + i % 2 * 8, k = 2 * place + i / 2 * 8;
      a[row][k] = pair.x;
      a[row][k + 1] = pair.y;
    }
    for (int i = 0; i < 2; ++i) {
      const float2 pair = from_halves(own.b[i]);
      b[2 * place + i * 8][group] = pair.x;
      b[2 * place + i * 8 + 1][group] = pair.y;
    }
  }
  simt::accumulate(payloads, a, b);
}

struct Matrices {
  std::uint32_t* to;
  const std::uint32_t* row;
};

template <bool transposed>
void load(const simt::WarpPayloads& payloads) {
  const auto of_lane = [&](int lane) -> const Matrices& {
    return *static_cast<const Matrices*>(payloads.payload[lane]);
  };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, place = lane % 4;
    for (int matrix = 0; matrix < 4; ++matrix) {
      const auto element = [&](int row, int column) -> std::uint32_t {
        return of_lane(8 * matrix + row).row[column / 2] >> column % 2 * 16 & 0xFFFFu;
      };
      const std::uint32_t first = transposed ? element(2 * place, group) : element(group, 2 * place),
                          second = transposed ? element(2 * place + 1, group) : element(group, 2 * place + 1);
      of_lane(lane).to[matrix] = first | second << 16;
    }
  }
}

}  // namespace

std::uint32_t to_halves(float2 x) {
  return to_half(x.x) | static_cast<std::uint32_t>(to_half(x.y)) << 16;
}

float2 from_halves(std::uint32_t bits) {
  return {from_half(static_cast<std::uint16_t>(bits)), from_half(static_cast<std::uint16_t>(bits >> 16))};
}

void mma_m16n8k16_f16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                      simt::Site site) {
  simt::Fragments own{d, a, b};
  simt::warp_collective("mma_m16n8k16_f16", 0xFFFFFFFFu, &multiply, &own, site);
}

void load_matrices_of_warp(std::uint32_t (&to)[4], const std::uint32_t* row, bool transposed,
                           simt::Site site) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) simt::fail("a row of a matrix is not aligned", site);
  if (!simt::in_shared_memory(row, 16)) simt::fail("a row of a matrix is not in shared memory", site);
  Matrices own{to, row};
  simt::warp_collective("load_matrices", 0xFFFFFFFFu, transposed ? &load<true> : &load<false>, &own, site);
}

}  // namespace sea::cuda
