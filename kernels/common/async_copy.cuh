#pragma once

#include "common/cuda.cuh"

namespace sea::cuda {

/// Four neighbouring floats or one to shared memory in the background; zeros where `valid` is false.
template <int width>
__device__ __forceinline__ void copy_async(float* shared, const float* global, bool valid) {
  static_assert(width == 1 || width == 4, "one float or 16 bytes");
  if constexpr (width == 4) {
    copy_async_16(shared, global, valid);
  } else {
    copy_async_4(shared, global, valid);
  }
}

}  // namespace sea::cuda
