#include <algorithm>

#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/sum_partials.cuh"
#include "sea/detail/checks/rows.hpp"
#include "sea/detail/reduction.hpp"

// Means and sums over a matrix, and their gradients.
//
// Floor: 8 bytes per element, X read and dX written; a row of the gap of norms is read twice, the second time
// from the caches. A warp takes a row, at most 512 blocks walk over the rows, and a block's sum goes to its
// own place in double precision; a second kernel adds those in order.

namespace sea {

namespace {

constexpr const char* name = "reduce";
constexpr int block_threads = 256;
constexpr int rows_per_block = block_threads / 32;
constexpr std::int64_t most_blocks = 512;

struct Shared {
  double warp_sums[32];
};

__device__ std::int64_t valid_rows(const StepState* state, std::int64_t rows) {
  return state != nullptr ? state->count : rows;
}

__global__ void __launch_bounds__(block_threads)
    reduce_kernel(ConstMatrixView x, Reduction reduction, const StepState* state, float weight, MatrixView dx,
                  double* partials) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t count = valid_rows(state, x.rows), width = x.columns;
  const double share = weight / detail::reduction_divisor(reduction, count, width);
  double sum = 0.0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * rows_per_block + threadIdx.x / 32; i < x.rows;
       i += std::int64_t{gridDim.x} * rows_per_block) {
    if (i >= count) {
      for (std::int64_t j = lane; j < width; j += 32) dx(i, j) = 0.0f;
    } else if (reduction == Reduction::unit_norm_gap) {
      double squares = 0.0;
      for (std::int64_t j = lane; j < width; j += 32) {
        const double value = x(i, j);
        squares = __fma_rn(value, value, squares);
      }
      const detail::Term term = detail::unit_norm_gap(cuda::warp_sum(squares));
      if (lane == 0) sum += term.value;
      const auto factor = static_cast<float>(share * term.slope);
      for (std::int64_t j = lane; j < width; j += 32) dx(i, j) = factor * x(i, j);
    } else {
      for (std::int64_t j = lane; j < width; j += 32) {
        const detail::Term term = detail::element_term(reduction, x(i, j));
        sum += term.value;
        dx(i, j) = static_cast<float>(share * term.slope);
      }
    }
  }
  sum = cuda::block_sum<block_threads>(sum, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

/// One block.
__global__ void __launch_bounds__(block_threads)
    reduce_loss_kernel(const double* partials, std::int64_t blocks, Reduction reduction,
                       const StepState* state, std::int64_t rows, std::int64_t width, float* loss) {
  const double sum =
      cuda::sum_of_partials<block_threads>(partials, blocks, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0)
    *loss = static_cast<float>(sum / detail::reduction_divisor(reduction, valid_rows(state, rows), width));
}

std::int64_t grid_blocks(std::int64_t rows) {
  return std::min(most_blocks, cuda::blocks_of(rows, rows_per_block));
}

}  // namespace

std::size_t CudaBackend::reduce_workspace(std::int64_t n, std::int64_t) const {
  return cuda::scratch_bytes<double>(grid_blocks(n));
}

void CudaBackend::reduce(ConstMatrixView x, Reduction reduction, const StepState* state, float weight,
                         float* loss, MatrixView dx, Workspace workspace) {
  checks::reduce(x, dx);
  const std::int64_t blocks = grid_blocks(x.rows);
  double* partials = cuda::Scratch(name, workspace).take<double>(blocks);
  cuda::launch(context_->stream, name, {dim3(cuda::grid_size(blocks)), dim3(block_threads), sizeof(Shared)},
               &reduce_kernel, x, reduction, state, weight, dx, partials);
  cuda::launch(context_->stream, name, {dim3(1), dim3(block_threads), sizeof(Shared)}, &reduce_loss_kernel,
               partials, blocks, reduction, state, x.rows, x.columns, loss);
}

}  // namespace sea
