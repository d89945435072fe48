#pragma once

#include <cstdint>

#include "common/launch.cuh"

// One warp per row: the grid, and the row of a warp. Kernels return where it is none.
namespace sea::cuda {

inline constexpr int warp_row_threads = 256;
inline constexpr int warp_rows_per_block = warp_row_threads / 32;

/// The row of this thread's warp.
__device__ __forceinline__ std::int64_t warp_row() {
  return static_cast<std::int64_t>(blockIdx.x) * warp_rows_per_block + threadIdx.x / 32;
}

inline Grid warp_row_grid(std::int64_t rows) {
  return {dim3(grid_size(blocks_of(rows, warp_rows_per_block))), dim3(warp_row_threads)};
}

}  // namespace sea::cuda
