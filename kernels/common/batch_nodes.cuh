#pragma once

#include "common/elementwise.cuh"

// The gradients of a batch's rows: a warp a place of the batch's order, see BatchOrderView.

namespace sea::cuda {

inline constexpr int batch_block_threads = 256;
inline constexpr int batch_warps = batch_block_threads / 32;

/// Number of this thread's warp in the grid.
__device__ __forceinline__ std::int64_t warp_number() {
  return static_cast<std::int64_t>(blockIdx.x) * batch_warps + threadIdx.x / 32;
}

/// Fills both gradients with zeros, all warps of the grid together.
template <int width>
__device__ __forceinline__ void zero_gradients(const MatrixView& d_users, const MatrixView& d_items) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t rows = d_users.rows + d_items.rows, columns = d_users.columns;
  for (std::int64_t i = warp_number(); i < rows; i += std::int64_t{gridDim.x} * batch_warps) {
    float* row = i < d_users.rows ? d_users.row(i) : d_items.row(i - d_users.rows);
    for (std::int64_t j = lane * width; j < columns; j += 32 * width) {
      store_pack<width>(row + j, Pack<width>{});
    }
  }
}

/// Blocks that take a triple a warp; a few a multiprocessor fill the gradients as fast as the memory takes
/// it.
inline unsigned triple_blocks(std::int64_t batch_size, int multiprocessors) {
  return grid_size(
      std::max<std::int64_t>(blocks_of(batch_size, batch_warps), 4 * std::int64_t{multiprocessors}));
}

/// The end of the stretch of `order` that belongs to the node at `place`; 0 where it began before.
__device__ __forceinline__ std::int64_t end_of_node(const BatchOrderView& order, std::int64_t place,
                                                    std::int64_t places) {
  const std::int32_t node = order.nodes[place];
  if (place > 0 && order.nodes[place - 1] == node) return 0;
  std::int64_t end = place + 1;
  while (end < places && order.nodes[end] == node) ++end;
  return end;
}

}  // namespace sea::cuda
