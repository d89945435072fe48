#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"

namespace sea {

namespace {

constexpr int block_threads = 256;
constexpr int rows_per_block = block_threads / 32;

/// The row of this thread's warp.
__device__ std::int64_t warp_row() {
  return static_cast<std::int64_t>(blockIdx.x) * rows_per_block + threadIdx.x / 32;
}

// One warp per row, block of columns after block of columns, 128 bytes at a time: a block's weight is one
// read for the whole warp, and no element asks which block it lies in.
__global__ void __launch_bounds__(block_threads)
    modality_weight_kernel(ConstMatrixView x, ConstMatrixView weight, std::int64_t width, MatrixView y) {
  const std::int64_t i = warp_row();
  if (i >= x.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (std::int64_t block = 0; block < weight.columns; ++block) {
    const float scale = weight(i, block);
    const float* x_part = x.row(i) + block * width;
    float* y_part = y.row(i) + block * width;
    for (std::int64_t j = lane; j < width; j += 32) y_part[j] = scale * x_part[j];
  }
}

__global__ void __launch_bounds__(block_threads)
    modality_weight_backward_kernel(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                    std::int64_t width, MatrixView dx, MatrixView dweight) {
  const std::int64_t i = warp_row();
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

void require_blocks(const char* operator_name, ConstMatrixView x, ConstMatrixView weight) {
  cuda::require(weight.rows == x.rows, operator_name, "weight must have a row for each row of x");
  cuda::require(weight.columns > 0 && x.columns % weight.columns == 0, operator_name,
                "the columns of weight must divide those of x");
}

cuda::Grid grid_of(std::int64_t rows) {
  return {dim3(cuda::grid_size(cuda::blocks_of(rows, rows_per_block))), dim3(block_threads)};
}

}  // namespace

void CudaBackend::modality_weight(ConstMatrixView x, ConstMatrixView weight, MatrixView y) {
  require_blocks("modality_weight", x, weight);
  cuda::require_shape("modality_weight", "y", y, x.rows, x.columns);
  cuda::launch(context_->stream, "modality_weight", grid_of(x.rows), &modality_weight_kernel, x, weight,
               x.columns / weight.columns, y);
}

void CudaBackend::modality_weight_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                           MatrixView dx, MatrixView dweight) {
  require_blocks("modality_weight_backward", x, weight);
  cuda::require_shape("modality_weight_backward", "dy", dy, x.rows, x.columns);
  cuda::require_shape("modality_weight_backward", "dx", dx, x.rows, x.columns);
  cuda::require_shape("modality_weight_backward", "dweight", dweight, weight.rows, weight.columns);
  cuda::launch(context_->stream, "modality_weight_backward", grid_of(x.rows),
               &modality_weight_backward_kernel, x, weight, dy, x.columns / weight.columns, dx, dweight);
}

}  // namespace sea
