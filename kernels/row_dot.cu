#include "common/context.cuh"
#include "common/reduce.cuh"
#include "common/warp_rows.cuh"
#include "sea/detail/checks/rows.hpp"

// Dot products of a row with the blocks of another, and their gradients.
//
// Floor: A and B read once, 4 bytes per element; backward as much again for each gradient. A warp takes a
// row: it reads a block of B and finds A's row in the first-level cache after the first block. Columns of A
// belong to lanes in the backward, which sum over the blocks in their order.

namespace sea {

namespace {

__global__ void __launch_bounds__(cuda::warp_row_threads)
    row_dot_kernel(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t i = cuda::warp_row(), width = a.columns;
  if (i >= a.rows) return;
  for (std::int64_t block = 0; block < y.columns; ++block) {
    float sum = 0.0f;
    for (std::int64_t j = lane; j < width; j += 32) sum = __fmaf_rn(a(i, j), b(i, block * width + j), sum);
    sum = cuda::warp_sum(sum);
    if (lane == 0) y(i, block) = sum;
  }
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    row_dot_backward_kernel(ConstMatrixView a, ConstMatrixView b, ConstMatrixView dy, MatrixView da,
                            MatrixView db) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t i = cuda::warp_row(), width = a.columns;
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

}  // namespace

void CudaBackend::row_dot(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  checks::row_dot(a, b, y);
  cuda::launch(context_->stream, "row_dot", cuda::warp_row_grid(a.rows), &row_dot_kernel, a, b, y);
}

void CudaBackend::row_dot_backward(ConstMatrixView a, ConstMatrixView b, ConstMatrixView dy, MatrixView da,
                                   MatrixView db) {
  constexpr const char* name = "row_dot_backward";
  checks::row_dot_backward(a, b, dy, da, db);
  cuda::launch(context_->stream, name, cuda::warp_row_grid(a.rows), &row_dot_backward_kernel, a, b, dy, da,
               db);
}

}  // namespace sea
