#include <algorithm>

#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/sum_partials.cuh"
#include "sea/detail/checks/rows.hpp"
#include "sea/detail/matrix_norm.hpp"

// A norm of a matrix and its gradient, a multiple of the matrix.
//
// Floor: the matrix read twice, the second time from the second-level cache where it fits, and its gradient
// written once: 12 bytes per element. Some blocks walk over the rows and leave their sums of squares in
// double precision; in the second kernel every block adds those up itself, always in the same order, which
// takes less than a third launch, and scales its rows.

namespace sea {

namespace {

using cuda::Pack;

constexpr const char* name = "matrix_norm";
constexpr int block_threads = 256;
constexpr std::int64_t most_blocks = 512;

struct Shared {
  double warp_sums[32];
};

__device__ std::int64_t valid_rows(ConstMatrixView x, const StepState* state) {
  return state != nullptr ? state->count : x.rows;
}

/// Calls `body(row, first column)` for packs of `width` columns, or fewer at a row's end, that this thread is
/// to take of `rows` rows: `across` threads beside each other in a row, the others in the rows below.
template <int width, class Body>
__device__ void for_each_pack(std::int64_t rows, std::int64_t columns, int across, const Body& body) {
  const int thread = static_cast<int>(threadIdx.x), down = block_threads / across;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * down + thread / across; i < rows;
       i += std::int64_t{gridDim.x} * down) {
    for (std::int64_t j = thread % across * width; j < columns; j += across * width) body(i, j);
  }
}

template <int width>
__global__ void __launch_bounds__(block_threads)
    squares_kernel(ConstMatrixView x, const StepState* state, int across, double* partials) {
  double sum = 0.0;
  const auto add_square = [&](double value) { sum = __fma_rn(value, value, sum); };
  for_each_pack<width>(valid_rows(x, state), x.columns, across, [&](std::int64_t i, std::int64_t j) {
    if (j + width <= x.columns) {
      const Pack<width> pack = cuda::load_pack<width>(&x(i, j));
#pragma unroll
      for (int e = 0; e < width; ++e) add_square(pack.value[e]);
    } else {
      for (; j < x.columns; ++j) add_square(x(i, j));
    }
  });
  sum = cuda::block_sum<block_threads>(sum, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

template <int width>
__global__ void __launch_bounds__(block_threads)
    gradient_kernel(ConstMatrixView x, const StepState* state, int across, const double* partials,
                    MatrixNorm norm, double divisor, float weight, float* loss, MatrixView dx) {
  const double squares =
      cuda::sum_of_partials<block_threads>(partials, gridDim.x, cuda::shared_memory<Shared>().warp_sums);
  const std::int64_t count = valid_rows(x, state);
  const detail::NormOfSquares result = detail::norm_of_squares(norm, squares, count * x.columns, divisor);
  if (blockIdx.x == 0 && threadIdx.x == 0) *loss = static_cast<float>(result.value);
  const auto factor = static_cast<float>(weight * result.slope);
  for_each_pack<width>(x.rows, x.columns, across, [&](std::int64_t i, std::int64_t j) {
    const bool valid = i < count;
    if (j + width <= x.columns) {
      Pack<width> pack = {};
      if (valid) {
        pack = cuda::load_pack<width>(&x(i, j));
#pragma unroll
        for (int e = 0; e < width; ++e) pack.value[e] *= factor;
      }
      cuda::store_pack<width>(&dx(i, j), pack);
    } else {
      for (; j < x.columns; ++j) dx(i, j) = valid ? factor * x(i, j) : 0.0f;
    }
  });
}

/// Threads beside each other in a row.
int threads_across(std::int64_t columns, int width) {
  int across = 1;
  while (across < cuda::blocks_of(columns, width) && across < block_threads) across *= 2;
  return across;
}

/// Blocks of both kernels, from the shape alone.
std::int64_t grid_blocks(std::int64_t rows, std::int64_t columns, int width) {
  return std::min(most_blocks, cuda::blocks_of(rows, block_threads / threads_across(columns, width)));
}

}  // namespace

std::size_t CudaBackend::matrix_norm_workspace(std::int64_t n, std::int64_t width) const {
  return cuda::scratch_bytes<double>(grid_blocks(n, width, 1));
}

void CudaBackend::matrix_norm(ConstMatrixView x, MatrixNorm norm, double divisor, const StepState* state,
                              float weight, float* loss, MatrixView dx, Workspace workspace) {
  checks::matrix_norm(x, divisor, dx);
  const auto start = [&](auto sum_squares, auto write_gradient, int width) {
    const int across = threads_across(x.columns, width);
    const std::int64_t blocks = grid_blocks(x.rows, x.columns, width);
    double* partials = cuda::Scratch(name, workspace).take<double>(blocks);
    const cuda::Grid grid{dim3(cuda::grid_size(blocks)), dim3(block_threads), sizeof(Shared)};
    cuda::launch(context_->stream, name, grid, sum_squares, x, state, across, partials);
    cuda::launch(context_->stream, name, grid, write_gradient, x, state, across, partials, norm, divisor,
                 weight, loss, dx);
  };
  if (cuda::rows_aligned(x) && cuda::rows_aligned(dx)) {
    start(&squares_kernel<4>, &gradient_kernel<4>, 4);
  } else {
    start(&squares_kernel<1>, &gradient_kernel<1>, 1);
  }
}

}  // namespace sea
