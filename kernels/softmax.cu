#include <cmath>

#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"
#include "sea/detail/checks/rows.hpp"
#include "sea/fast_exp.hpp"

// The softmax of rows, forward and backward.
//
// Floor: 8 bytes per element forward, 12 backward. A row belongs to a team: 1 to 32 lanes of a warp, a power
// of two, so that rows of two columns fill a warp too; and to a whole block where it is long, since then
// there may be few rows. The elements of a row are read twice and the exponentials, written by the same
// thread, once more: from the first-level cache.

namespace sea {

namespace {

constexpr int block_threads = 256;
constexpr std::int64_t longest_row_of_a_warp = 1024;

struct Shared {
  float warp_values[32];
};

/// The threads that share a row: `size` lanes of a warp, or all of a block.
template <bool whole_block>
struct Team {
  int size;

  __device__ std::int64_t row() const {
    return static_cast<std::int64_t>(blockIdx.x) * (block_threads / size) +
           static_cast<int>(threadIdx.x) / size;
  }
  __device__ int lane() const { return static_cast<int>(threadIdx.x) % size; }

  /// Halves are combined, lane l and lane l + half; then, in a block, the warps' values likewise.
  template <class Combine>
  __device__ float reduce(float value, float neutral, const Combine& combine) const {
    const auto over_lanes = [&](float of_lane, int lanes) {
      for (int half = lanes / 2; half > 0; half /= 2) {
        of_lane = combine(of_lane, __shfl_xor_sync(cuda::full_warp, of_lane, half));
      }
      return of_lane;
    };
    if constexpr (whole_block) {
      float* warp_values = cuda::shared_memory<Shared>().warp_values;
      const int in_warp = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
      value = over_lanes(value, 32);
      if (in_warp == 0) warp_values[warp] = value;
      __syncthreads();
      value = over_lanes(in_warp < block_threads / 32 ? warp_values[in_warp] : neutral, 32);
      __syncthreads();
      return value;
    } else {
      return over_lanes(value, size);
    }
  }
  __device__ float sum(float value) const {
    return reduce(value, 0.0f, [](float a, float b) { return a + b; });
  }
  /// Passes over what is not a number: it comes back as its own exponential.
  __device__ float largest(float value) const {
    return reduce(value, -HUGE_VALF, [](float a, float b) { return a > b ? a : b; });
  }
};

// Teams beyond the last row go along with their warp, on no elements.

template <bool whole_block>
__global__ void __launch_bounds__(block_threads)
    softmax_kernel(ConstMatrixView x, float scale, MatrixView y, int team_size) {
  const Team<whole_block> team{team_size};
  const std::int64_t i = team.row(), columns = i < x.rows ? x.columns : 0;
  float largest = -HUGE_VALF;
  for (std::int64_t j = team.lane(); j < columns; j += team_size) {
    const float value = scale * x(i, j);
    largest = value > largest ? value : largest;
  }
  largest = team.largest(largest);
  float sum = 0.0f;
  for (std::int64_t j = team.lane(); j < columns; j += team_size) {
    const float value = fast_exp(__fmaf_rn(scale, x(i, j), -largest));
    sum += value;
    y(i, j) = value;
  }
  const float inverse = 1.0f / team.sum(sum);
  for (std::int64_t j = team.lane(); j < columns; j += team_size) y(i, j) *= inverse;
}

template <bool whole_block>
__global__ void __launch_bounds__(block_threads)
    softmax_backward_kernel(ConstMatrixView y, ConstMatrixView dy, float scale, MatrixView dx,
                            int team_size) {
  const Team<whole_block> team{team_size};
  const std::int64_t i = team.row(), columns = i < y.rows ? y.columns : 0;
  float along = 0.0f;
  for (std::int64_t j = team.lane(); j < columns; j += team_size) {
    along = __fmaf_rn(y(i, j), dy(i, j), along);
  }
  along = team.sum(along);
  for (std::int64_t j = team.lane(); j < columns; j += team_size) {
    dx(i, j) = scale * y(i, j) * (dy(i, j) - along);
  }
}

/// Calls `start(kernel for lanes or for blocks, size of a team, grid)`.
template <class Start>
void with_teams(std::int64_t rows, std::int64_t columns, const Start& start) {
  int size = 1;
  while (size < columns && size < 32) size *= 2;
  const bool whole_block = columns > longest_row_of_a_warp;
  if (whole_block) size = block_threads;
  start(whole_block, size,
        cuda::Grid{dim3(cuda::grid_size(cuda::blocks_of(rows, block_threads / size))), dim3(block_threads),
                   whole_block ? sizeof(Shared) : 0});
}

}  // namespace

void CudaBackend::softmax(ConstMatrixView x, float scale, MatrixView y) {
  checks::softmax(x, y);
  with_teams(x.rows, x.columns, [&](bool whole_block, int size, const cuda::Grid& grid) {
    cuda::launch(context_->stream, "softmax", grid,
                 whole_block ? &softmax_kernel<true> : &softmax_kernel<false>, x, scale, y, size);
  });
}

void CudaBackend::softmax_backward(ConstMatrixView y, ConstMatrixView dy, float scale, MatrixView dx) {
  checks::softmax_backward(y, dy, dx);
  with_teams(y.rows, y.columns, [&](bool whole_block, int size, const cuda::Grid& grid) {
    cuda::launch(context_->stream, "softmax_backward", grid,
                 whole_block ? &softmax_backward_kernel<true> : &softmax_backward_kernel<false>, y, dy, scale,
                 dx, size);
  });
}

}  // namespace sea
