#include <cmath>

#include "common/context.cuh"
#include "common/sum_partials.cuh"
#include "common/warp_rows.cuh"
#include "sea/detail/checks/losses.hpp"

// *loss = 1 - mean cosine of the rows of X and T, and its gradient.
//
// Floor: X and T read and dX written once, 12 bytes per element (BM3's batch, 2,048 x 64: 1.6 MB), below a
// microsecond: what it costs is two launches. One warp per row; norms and products are summed in double
// precision in the order of fixed_dot.hpp, a second reading finds the row in the first-level cache. A block's
// sum goes to its own place, a second kernel adds those in order.

namespace sea {

namespace {

constexpr const char* name = "cosine_loss";
constexpr double smallest_norm = 1e-8;

struct Shared {
  double warp_sums[32];
};

__device__ std::int64_t count_of(const StepState* state, std::int64_t rows) {
  return state != nullptr ? state->count : rows;
}

/// Not max, which would take the floor for a norm that is not a number.
__device__ double at_least_smallest(double norm) {
  return norm < smallest_norm ? smallest_norm : norm;
}

__global__ void __launch_bounds__(cuda::warp_row_threads)
    cosine_loss_kernel(ConstMatrixView x, ConstMatrixView target, const StepState* state, float weight,
                       MatrixView dx, double* losses) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t i = cuda::warp_row();
  const std::int64_t count = count_of(state, x.rows), width = x.columns;
  double loss = 0.0;
  if (i < count) {
    double x_square = 0.0, target_square = 0.0, product = 0.0;
    for (std::int64_t j = lane; j < width; j += 32) {
      const double a = x(i, j), b = target(i, j);
      x_square = __fma_rn(a, a, x_square);
      target_square = __fma_rn(b, b, target_square);
      product = __fma_rn(a, b, product);
    }
    const double x_norm = at_least_smallest(sqrt(cuda::warp_sum(x_square)));
    const double target_norm = at_least_smallest(sqrt(cuda::warp_sum(target_square)));
    const double cosine = cuda::warp_sum(product) / (x_norm * target_norm);
    if (lane == 0) loss = 1.0 - cosine;
    // A norm at its floor does not move with its row.
    const double share = static_cast<double>(weight) / static_cast<double>(count);
    const auto towards = static_cast<float>(-share / (x_norm * target_norm));
    const auto inward =
        static_cast<float>(x_norm == smallest_norm ? 0.0 : share * cosine / (x_norm * x_norm));
    for (std::int64_t j = lane; j < width; j += 32) {
      dx(i, j) = __fmaf_rn(towards, target(i, j), inward * x(i, j));
    }
  } else if (i < x.rows) {
    for (std::int64_t j = lane; j < width; j += 32) dx(i, j) = 0.0f;
  }
  loss = cuda::block_sum<cuda::warp_row_threads>(loss, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) losses[blockIdx.x] = loss;
}

/// One block.
__global__ void __launch_bounds__(cuda::warp_row_threads)
    mean_kernel(const double* losses, std::int64_t blocks, const StepState* state, std::int64_t rows,
                float* loss) {
  const double sum =
      cuda::sum_of_partials<cuda::warp_row_threads>(losses, blocks, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum / static_cast<double>(count_of(state, rows)));
}

}  // namespace

std::size_t CudaBackend::cosine_loss_workspace(std::int64_t rows) const {
  return cuda::scratch_bytes<double>(cuda::blocks_of(rows, cuda::warp_rows_per_block));
}

void CudaBackend::cosine_loss(ConstMatrixView x, ConstMatrixView target, const StepState* state, float weight,
                              float* loss, MatrixView dx, Workspace workspace) {
  const std::int64_t rows = x.rows;
  checks::cosine_loss(x, target, dx);
  const std::int64_t blocks = cuda::blocks_of(rows, cuda::warp_rows_per_block);
  double* losses = cuda::Scratch(name, workspace).take<double>(blocks);
  cuda::launch(context_->stream, name,
               {dim3(cuda::grid_size(blocks)), dim3(cuda::warp_row_threads), sizeof(Shared)},
               &cosine_loss_kernel, x, target, state, weight, dx, losses);
  cuda::launch(context_->stream, name, {dim3(1), dim3(cuda::warp_row_threads), sizeof(Shared)}, &mean_kernel,
               losses, blocks, state, rows, loss);
}

}  // namespace sea
