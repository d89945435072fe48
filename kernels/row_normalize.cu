#include <cmath>

#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"

namespace sea {

namespace {

constexpr double smallest_norm = 1e-12;
constexpr auto largest_inverse_norm = static_cast<float>(1.0 / smallest_norm);
constexpr int block_threads = 256;
constexpr int rows_per_block = block_threads / 32;

/// The row of this thread's warp.
__device__ std::int64_t warp_row() {
  return static_cast<std::int64_t>(blockIdx.x) * rows_per_block + threadIdx.x / 32;
}

// One warp per row. Lane l takes the elements l, l + 32, ...: the order of fixed_dot.hpp, so that unit rows,
// and with them the neighbours of a near-tie, are the same bits on every backend. A warp reads 128 bytes at a
// time; the second reading finds the row in the first-level cache.
__global__ void __launch_bounds__(block_threads)
    row_normalize_kernel(ConstMatrixView x, MatrixView y, float* inverse_norms) {
  const std::int64_t i = warp_row();
  if (i >= x.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  double sum = 0.0;
  for (std::int64_t j = lane; j < x.columns; j += 32) {
    const double value = x(i, j);
    sum = __fma_rn(value, value, sum);
  }
  const double norm = sqrt(cuda::warp_sum(sum));
  // Not max, which would take the floor for a norm that is not a number.
  const auto inverse = static_cast<float>(1.0 / (norm < smallest_norm ? smallest_norm : norm));
  if (lane == 0) inverse_norms[i] = inverse;
  for (std::int64_t j = lane; j < x.columns; j += 32) y(i, j) = x(i, j) * inverse;
}

__global__ void __launch_bounds__(block_threads)
    row_normalize_backward_kernel(ConstMatrixView y, const float* inverse_norms, ConstMatrixView dy,
                                  MatrixView dx) {
  const std::int64_t i = warp_row();
  if (i >= y.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float along = 0.0f;
  for (std::int64_t j = lane; j < y.columns; j += 32) along = __fmaf_rn(y(i, j), dy(i, j), along);
  along = cuda::warp_sum(along);
  const float inverse = inverse_norms[i];
  if (inverse == largest_inverse_norm) along = 0.0f;
  for (std::int64_t j = lane; j < y.columns; j += 32) {
    dx(i, j) = __fmaf_rn(-y(i, j), along, dy(i, j)) * inverse;
  }
}

cuda::Grid grid_of(std::int64_t rows) {
  return {dim3(cuda::grid_size(cuda::blocks_of(rows, rows_per_block))), dim3(block_threads)};
}

}  // namespace

void CudaBackend::row_normalize(ConstMatrixView x, MatrixView y, VectorView inverse_norms) {
  cuda::require_shape("row_normalize", "y", y, x.rows, x.columns);
  cuda::require_size("row_normalize", "inverse_norms", inverse_norms.size(), x.rows);
  cuda::launch(context_->stream, "row_normalize", grid_of(x.rows), &row_normalize_kernel, x, y,
               inverse_norms.data());
}

void CudaBackend::row_normalize_backward(ConstMatrixView y, ConstVectorView inverse_norms, ConstMatrixView dy,
                                         MatrixView dx) {
  cuda::require_size("row_normalize_backward", "inverse_norms", inverse_norms.size(), y.rows);
  cuda::require_shape("row_normalize_backward", "dy", dy, y.rows, y.columns);
  cuda::require_shape("row_normalize_backward", "dx", dx, y.rows, y.columns);
  cuda::launch(context_->stream, "row_normalize_backward", grid_of(y.rows), &row_normalize_backward_kernel, y,
               inverse_norms.data(), dy, dx);
}

}  // namespace sea
