#include <cmath>

#include "common/context.cuh"
#include "common/reduce.cuh"
#include "common/warp_rows.cuh"
#include "sea/detail/checks/dense.hpp"

namespace sea {

namespace {

constexpr double smallest_norm = 1e-12;
constexpr auto largest_inverse_norm = static_cast<float>(1.0 / smallest_norm);
// One warp per row. Lane l takes the elements l, l + 32, ...: the order of fixed_dot.hpp, so that unit rows,
// and with them the neighbours of a near-tie, are the same bits on every backend. A warp reads 128 bytes at a
// time; the second reading finds the row in the first-level cache.
__global__ void __launch_bounds__(cuda::warp_row_threads)
    row_normalize_kernel(ConstMatrixView x, MatrixView y, float* inverse_norms) {
  const std::int64_t i = cuda::warp_row();
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

__global__ void __launch_bounds__(cuda::warp_row_threads)
    row_normalize_backward_kernel(ConstMatrixView y, const float* inverse_norms, ConstMatrixView dy,
                                  MatrixView dx) {
  const std::int64_t i = cuda::warp_row();
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

}  // namespace

void CudaBackend::row_normalize(ConstMatrixView x, MatrixView y, VectorView inverse_norms) {
  checks::row_normalize(x, y, inverse_norms);
  cuda::launch(context_->stream, "row_normalize", cuda::warp_row_grid(x.rows), &row_normalize_kernel, x, y,
               inverse_norms.data());
}

void CudaBackend::row_normalize_backward(ConstMatrixView y, ConstVectorView inverse_norms, ConstMatrixView dy,
                                         MatrixView dx) {
  checks::row_normalize_backward(y, inverse_norms, dy, dx);
  cuda::launch(context_->stream, "row_normalize_backward", cuda::warp_row_grid(y.rows),
               &row_normalize_backward_kernel, y, inverse_norms.data(), dy, dx);
}

}  // namespace sea
