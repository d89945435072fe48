#include "common/context.cuh"
#include "common/reduce.cuh"
#include "common/warp_rows.cuh"
#include "sea/detail/checks/rows.hpp"

namespace sea {

namespace {

// One warp per row, block of columns after block of columns, 128 bytes at a time: a block's weight is one
// read for the whole warp, and no element asks which block it lies in.
__global__ void __launch_bounds__(cuda::warp_row_threads)
    modality_weight_kernel(ConstMatrixView x, ConstMatrixView weight, std::int64_t width, MatrixView y) {
  const std::int64_t i = cuda::warp_row();
  if (i >= x.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (std::int64_t block = 0; block < weight.columns; ++block) {
    const float scale = weight(i, block);
    const float* x_part = x.row(i) + block * width;
    float* y_part = y.row(i) + block * width;
    for (std::int64_t j = lane; j < width; j += 32) y_part[j] = scale * x_part[j];
  }
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    modality_weight_backward_kernel(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                    std::int64_t width, MatrixView dx, MatrixView dweight) {
  const std::int64_t i = cuda::warp_row();
  if (i >= x.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (std::int64_t block = 0; block < weight.columns; ++block) {
    const float scale = weight(i, block);
    const float* x_part = x.row(i) + block * width;
    const float* dy_part = dy.row(i) + block * width;
    float* dx_part = dx.row(i) + block * width;
    float sum = 0.0f;
    for (std::int64_t j = lane; j < width; j += 32) {
      sum = __fmaf_rn(dy_part[j], x_part[j], sum);
      dx_part[j] = scale * dy_part[j];
    }
    sum = cuda::warp_sum(sum);
    if (lane == 0) dweight(i, block) = sum;
  }
}

}  // namespace

void CudaBackend::modality_weight(ConstMatrixView x, ConstMatrixView weight, MatrixView y) {
  checks::modality_weight(x, weight, y);
  cuda::launch(context_->stream, "modality_weight", cuda::warp_row_grid(x.rows), &modality_weight_kernel, x,
               weight, x.columns / weight.columns, y);
}

void CudaBackend::modality_weight_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                           MatrixView dx, MatrixView dweight) {
  checks::modality_weight_backward(x, weight, dy, dx, dweight);
  cuda::launch(context_->stream, "modality_weight_backward", cuda::warp_row_grid(x.rows),
               &modality_weight_backward_kernel, x, weight, dy, x.columns / weight.columns, dx, dweight);
}

}  // namespace sea
