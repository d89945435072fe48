#pragma once

#include "common/cuda.cuh"

namespace sea::cuda {

/// A float as the sum of two operands of the tensor cores, which read ten bits of a mantissa.
struct SplitFloat {
  std::uint32_t big;
  std::uint32_t small;
};

/// Exact to 2^-21 of x: the big part is x rounded to the nearest with ten bits of mantissa, the small one is
/// what is left, below 2^-11 of x, of which the tensor cores cut off what they do not read. Of a NaN the
/// small part is one, whatever the sum made of the big part; of an infinity it is a NaN too.
__device__ __forceinline__ SplitFloat split_tf32(float x) {
  const std::uint32_t big = (__float_as_uint(x) + 0x1000u) & 0xFFFFE000u;
  return {big, __float_as_uint(__fsub_rn(x, __uint_as_float(big)))};
}

/// The operands of one tensor core product, split.
template <int count>
struct SplitFragment {
  std::uint32_t big[count];
  std::uint32_t small[count];

  __device__ __forceinline__ void set(int i, float x) {
    const SplitFloat split = split_tf32(x);
    big[i] = split.big;
    small[i] = split.small;
  }
};

using SplitA = SplitFragment<4>;
using SplitB = SplitFragment<2>;

/// d += a b to nearly float32's precision: three products, the small ones first; the product of the two small
/// parts is below the last bit. The tensor cores round towards zero, and a long sum kept in them would lose
/// half a bit in each product: it is kept outside, rounded to nearest.
__device__ __forceinline__ void mma_m16n8k8_tf32x3(float (&d)[4], const SplitA& a, const SplitB& b) {
  float product[4] = {};
  mma_m16n8k8_tf32(product, a.small, b.big);
  mma_m16n8k8_tf32(product, a.big, b.small);
  mma_m16n8k8_tf32(product, a.big, b.big);
#pragma unroll
  for (int i = 0; i < 4; ++i) d[i] = __fadd_rn(d[i], product[i]);
}

}  // namespace sea::cuda
