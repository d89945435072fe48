#pragma once

#include "common/cuda.cuh"

namespace sea::cuda {

/// The sum over a warp, in every lane: halves are added five times, lane l and lane l + half. The order of
/// fixed_dot.hpp and of every backend.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int half = 16; half > 0; half /= 2) value += __shfl_xor_sync(full_warp, value, half);
  return value;
}

/// The sum over a block of `threads` threads, in every thread: warps first, then the warps' sums in the same
/// way. `warp_sums` (32 values of shared memory) may be used again when the call has returned.
template <int threads, class T>
__device__ __forceinline__ T block_sum(T value, T* warp_sums) {
  static_assert(threads % 32 == 0 && threads <= 1024, "whole warps");
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  value = warp_sum(value);
  if (lane == 0) warp_sums[warp] = value;
  __syncthreads();
  value = warp_sum(lane < threads / 32 ? warp_sums[lane] : T{});
  __syncthreads();
  return value;
}

}  // namespace sea::cuda
