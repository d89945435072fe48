#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"

// Dot products of a row with the blocks of another, and their gradients.
//
// Floor: A and B read once, 4 bytes per element; backward as much again for each gradient. A warp takes a
// row: it reads a block of B and finds A's row in the first-level cache after the first block. Columns of A
// belong to lanes in the backward, which sum over the blocks in their order.

namespace sea {

namespace {

constexpr int block_threads = 256;
constexpr int rows_per_block = block_threads / 32;

__device__ std::int64_t row_of_warp() {
  return static_cast<std::int64_t>(blockIdx.x) * rows_per_block + threadIdx.x / 32;
}

__global__ void __launch_bounds__(block_threads)
    row_dot_kernel(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t i = row_of_warp(), width = a.columns;
  if (i >= a.rows) return;
  for (std::int64_t block = 0; block < y.columns; ++block) {
    float sum = 0.0f;
    for (std::int64_t j = lane; j < width; j += 32) sum = __fmaf_rn(a(i, j), b(i, block * width + j), sum);
    sum = cuda::warp_sum(sum);
    if (lane == 0) y(i, block) = sum;
  }
}

__global__ void __launch_bounds__(block_threads)
    row_dot_backward_kernel(ConstMatrixView a, ConstMatrixView b, ConstMatrixView dy, MatrixView da,
                            MatrixView db) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t i = row_of_warp(), width = a.columns;
  if (i >= a.rows) return;
  for (std::int64_t j = lane; j < width; j += 32) {
    float sum = 0.0f;
    for (std::int64_t block = 0; block < dy.columns; ++block) {
      const float upstream = dy(i, block);
      if (!da.empty()) sum = __fmaf_rn(upstream, b(i, block * width + j), sum);
      if (!db.empty()) db(i, block * width + j) = upstream * a(i, j);
    }
    if (!da.empty()) da(i, j) = sum;
  }
}

cuda::Grid grid_of(std::int64_t rows) {
  return {dim3(cuda::grid_size(cuda::blocks_of(rows, rows_per_block))), dim3(block_threads)};
}

}  // namespace

void CudaBackend::row_dot(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  cuda::require_shape("row_dot", "b", b, a.rows, y.columns * a.columns);
  cuda::require_shape("row_dot", "y", y, a.rows, y.columns);
  cuda::launch(context_->stream, "row_dot", grid_of(a.rows), &row_dot_kernel, a, b, y);
}

void CudaBackend::row_dot_backward(ConstMatrixView a, ConstMatrixView b, ConstMatrixView dy, MatrixView da,
                                   MatrixView db) {
  constexpr const char* name = "row_dot_backward";
  cuda::require_shape(name, "b", b, a.rows, dy.columns * a.columns);
  cuda::require_shape(name, "dy", dy, a.rows, dy.columns);
  if (!da.empty()) cuda::require_shape(name, "da", da, a.rows, a.columns);
  if (!db.empty()) cuda::require_shape(name, "db", db, a.rows, b.columns);
  cuda::launch(context_->stream, name, grid_of(a.rows), &row_dot_backward_kernel, a, b, dy, da, db);
}

}  // namespace sea
