#pragma once

// Functions of the special function unit, an instruction each. Under SEA_SIMT they have errors as large as
// CUDA's may have.

#if defined(SEA_SIMT)

#include "simt/approximate.hpp"

#else

namespace sea::cuda {

/// 2^x to 2 units in the last place; 0 where that is subnormal. NaN stays NaN.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 1 / x to 1 unit in the last place; 0 where that is subnormal, an infinity where x is. NaN stays NaN.
__device__ __forceinline__ float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace sea::cuda

#endif
