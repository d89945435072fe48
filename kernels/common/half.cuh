#pragma once

#include "common/cuda.cuh"

// Half precision on the tensor cores. As in cuda.cuh, each name has a meaning on a GPU and one under
// emulation:
//
// clang-format off
//   to_halves(x), from_halves(bits)     two floats rounded to the nearest half, the first in the lower bits; and back
//   mma_m16n8k16_f16(d, a, b)           d += a b on the tensor cores, by all lanes of a warp
//   load_matrices<transposed>(to, row)  four 8 x 8 matrices of halves from shared memory, by all lanes of a warp: lane l
//                                       names row l % 8 of matrix l / 8, 16 bytes
// clang-format on

#if defined(SEA_SIMT)

#include "simt/half.hpp"

#else

#include <cuda_fp16.h>

namespace sea::cuda {

#if defined(__CUDACC__)

__device__ __forceinline__ std::uint32_t to_halves(float2 x) {
  const __half2 halves = __float22half2_rn(x);
  return *reinterpret_cast<const std::uint32_t*>(&halves);
}

__device__ __forceinline__ float2 from_halves(std::uint32_t bits) {
  return __half22float2(*reinterpret_cast<const __half2*>(&bits));
}

// Which elements a lane holds, two a register and neighbours along k: with group = lane / 4 and place = lane
// % 4, of A (16 x 16) the rows group and group + 8 of the columns 2 place and 2 place + 1, then of those 8
// further; of B (16 x 8) the rows 2 place and 2 place + 1 of column group, then those 8 further; of D (16 x
// 8) as mma_m16n8k8_tf32. PTX ISA, mma.m16n8k16.
__device__ __forceinline__ void mma_m16n8k16_f16(float (&d)[4], const std::uint32_t (&a)[4],
                                                 const std::uint32_t (&b)[2]) {
  // Volatile: the compiler must not move it to where a warp has diverged.
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// A lane gets the elements 2 place and 2 place + 1 of row group of each matrix; transposed, of column group.
template <bool transposed>
__device__ __forceinline__ void load_matrices(std::uint32_t (&to)[4], const std::uint32_t* row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
  }
}

#endif

}  // namespace sea::cuda

#endif
