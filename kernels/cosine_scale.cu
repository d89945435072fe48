#include <cmath>

#include "common/context.cuh"
#include "common/reduce.cuh"
#include "common/warp_rows.cuh"
#include "sea/detail/checks/dense.hpp"

// Y[i] = cos(X[i], E[i]) X[i], forward and backward.
//
// Floor: X and E read and Y written once, 12 bytes per element (LayerGCN on Baby, 26,495 x 64: 20 MB);
// backward X, E, dY read and dX, dE written, 20 bytes. One warp per row; the second reading of a row finds it
// in the first-level cache. Norms and products are summed in double precision in the order of fixed_dot.hpp.

namespace sea {

namespace {

constexpr double smallest_norm = 1e-8;
/// Norms of a row of X and of E, each at least `smallest_norm`, and the cosine between them; in every lane.
struct Angle {
  double x_norm, e_norm, cosine;
};

/// Not max, which would take the floor for a norm that is not a number.
__device__ double at_least_smallest(double norm) {
  return norm < smallest_norm ? smallest_norm : norm;
}

__device__ Angle angle_of(const float* x, const float* e, std::int64_t width, int lane) {
  double x_square = 0.0, e_square = 0.0, product = 0.0;
  for (std::int64_t j = lane; j < width; j += 32) {
    const double a = x[j], b = e[j];
    x_square = __fma_rn(a, a, x_square);
    e_square = __fma_rn(b, b, e_square);
    product = __fma_rn(a, b, product);
  }
  const double x_norm = at_least_smallest(sqrt(cuda::warp_sum(x_square)));
  const double e_norm = at_least_smallest(sqrt(cuda::warp_sum(e_square)));
  return {x_norm, e_norm, cuda::warp_sum(product) / (x_norm * e_norm)};
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    cosine_scale_kernel(ConstMatrixView x, ConstMatrixView e, MatrixView y) {
  const std::int64_t i = cuda::warp_row();
  if (i >= x.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto cosine = static_cast<float>(angle_of(x.row(i), e.row(i), x.columns, lane).cosine);
  for (std::int64_t j = lane; j < x.columns; j += 32) y(i, j) = cosine * x(i, j);
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    cosine_scale_backward_kernel(ConstMatrixView x, ConstMatrixView e, ConstMatrixView dy, MatrixView dx,
                                 MatrixView de) {
  const std::int64_t i = cuda::warp_row();
  if (i >= x.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const Angle angle = angle_of(x.row(i), e.row(i), x.columns, lane);
  double along = 0.0;
  for (std::int64_t j = lane; j < x.columns; j += 32) {
    along = __fma_rn(static_cast<double>(dy(i, j)), static_cast<double>(x(i, j)), along);
  }
  along = cuda::warp_sum(along);
  // A norm at its floor does not move with its row.
  const double inward = along * angle.cosine;
  const auto kept = static_cast<float>(angle.cosine);
  const auto across = static_cast<float>(along / (angle.x_norm * angle.e_norm));
  const auto x_inward =
      static_cast<float>(angle.x_norm > smallest_norm ? inward / (angle.x_norm * angle.x_norm) : 0.0);
  const auto e_inward =
      static_cast<float>(angle.e_norm > smallest_norm ? inward / (angle.e_norm * angle.e_norm) : 0.0);
  for (std::int64_t j = lane; j < x.columns; j += 32) {
    const float from_x = x(i, j), from_e = e(i, j);
    dx(i, j) = __fmaf_rn(-x_inward, from_x, __fmaf_rn(across, from_e, kept * dy(i, j)));
    de(i, j) = __fmaf_rn(-e_inward, from_e, across * from_x);
  }
}

}  // namespace

void CudaBackend::cosine_scale(ConstMatrixView x, ConstMatrixView e, MatrixView y) {
  checks::cosine_scale(x, e, y);
  cuda::launch(context_->stream, "cosine_scale", cuda::warp_row_grid(x.rows), &cosine_scale_kernel, x, e, y);
}

void CudaBackend::cosine_scale_backward(ConstMatrixView x, ConstMatrixView e, ConstMatrixView dy,
                                        MatrixView dx, MatrixView de) {
  checks::cosine_scale_backward(x, e, dy, dx, de);
  cuda::launch(context_->stream, "cosine_scale_backward", cuda::warp_row_grid(x.rows),
               &cosine_scale_backward_kernel, x, e, dy, dx, de);
}

}  // namespace sea
