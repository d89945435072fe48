// CLUB, forward and backward: loss = max(0, mean_i(ll(G_i, O_i) - ll(G_i, O_p(i))) / 2), in which the log
// variances themselves cancel, so that a feature of a row costs one tanh and one exp.
//
// Floor, n x 32 with 8 hidden units: three rows are read and three written, 768 bytes per row and 256 for the
// gradients that wait; about 6,000 operations per row. 7,050 rows: 7 MB and 42 MFLOP, 2 us. One warp per row,
// lane = feature: q's weights stay in 34 registers a lane, a row's 16 hidden sums take 16 shuffles (halves
// are exchanged, so that each lane ends with one of them). Whether the mean is positive is known only when
// all rows are done: the first kernel writes the gradients of a positive mean, those of O_p(i) to their own
// place of a second matrix (p hits each row once, so no two warps meet), and the second kernel adds that
// matrix or, where the mean is not positive, writes zeros.

#include <algorithm>

#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/sum_partials.cuh"
#include "common/variational_network.cuh"
#include "sea/detail/checks/losses.hpp"

namespace sea {

namespace {

constexpr const char* name = "club";
constexpr int block_threads = 256;
constexpr int warps = block_threads / 32;
constexpr int rows_per_block = 4 * warps;

/// Blocks whose activations lie in the workspace: enough for every multiprocessor, however many rows there
/// are.
constexpr std::int64_t most_blocks_in_workspace = 256;

/// Floats that the activations of a block's warps take; and whether they lie in shared memory, of which every
/// device has 48 KB without asking.
constexpr std::int64_t activations_of_block(std::int64_t width, std::int64_t hidden) {
  return warps * cuda::QRow::size(width, hidden);
}
constexpr bool fit_in_shared_memory(std::int64_t width, std::int64_t hidden) {
  return activations_of_block(width, hidden) <= 11 * 1024;
}

/// Matrices of one shape and what belongs to them. Row i of `d_others` is the gradient that row i of the
/// unique matrix gets as another row's pair.
struct Rows {
  ConstMatrixView generic, unique;
  const std::int32_t* permutation;
  float scale;  ///< of the gradients
  MatrixView d_generic, d_unique, d_others;
};

/// One feature of one row, from q's outputs there.
struct Feature {
  float difference;      ///< its part of ll(x, own) - ll(x, other)
  float d_mean;          ///< the gradients of scale times that
  float d_log_variance;  ///< before the tanh
  float d_own;
  float d_other;
};

__device__ __forceinline__ Feature differentiate(float mean, float log_variance, float own, float other,
                                                 float scale) {
  const float log_of_variance = fast_tanh(log_variance);
  const float precision = fast_exp(-log_of_variance);
  const float from_own = mean - own;
  const float from_other = mean - other;
  const float apart = (own - other) * precision;
  const float difference = 0.5f * apart * (from_own + from_other);
  return {difference, scale * apart, -scale * difference * (1.0f - log_of_variance * log_of_variance),
          scale * precision * from_own, -scale * precision * from_other};
}

struct Shared {
  double warp_sums[32];
};

/// The sum of a group of rows, of which a warp's lie in its lane 0.
__device__ __forceinline__ void store_sum(double lane_sum, std::int64_t group, double* differences) {
  const double sum = cuda::block_sum<block_threads>(lane_sum, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) differences[group] = sum;
}

/// Calls `row(i)` for the rows of a group that are this thread's warp's; returns its sum of what that
/// returns, in lane 0.
template <class Function>
__device__ __forceinline__ double sum_over_rows(std::int64_t group, std::int64_t n, const Function& row) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  double sum = 0.0;
  for (int k = warp; k < rows_per_block; k += warps) {
    const std::int64_t i = group * rows_per_block + k;
    if (i < n) sum += static_cast<double>(cuda::warp_sum(row(i)));
  }
  return lane == 0 ? sum : 0.0;
}

constexpr int fast_width = 32;
constexpr int fast_hidden = 8;

/// Lanes that differ in the bit 2 * count exchange the halves of 2 * count values: each keeps `count` sums.
template <int count>
__device__ __forceinline__ void exchange_halves(float (&value)[16]) {
  const bool upper = (threadIdx.x & 2 * count) != 0;
#pragma unroll
  for (int k = 0; k < count; ++k) {
    const float sent = upper ? value[k] : value[k + count];
    const float kept = upper ? value[k + count] : value[k];
    value[k] = kept + __shfl_xor_sync(cuda::full_warp, sent, 2 * count);
  }
}

/// The sums over the lanes of 16 values each: lane l gets that of value l / 2.
__device__ __forceinline__ float reduce_scatter(float (&value)[16]) {
  exchange_halves<8>(value);
  exchange_halves<4>(value);
  exchange_halves<2>(value);
  exchange_halves<1>(value);
  return value[0] + __shfl_xor_sync(cuda::full_warp, value[0], 1);
}

__global__ void __launch_bounds__(block_threads, 2)
    club_rows_32_8_kernel(Rows rows, const float* parameters, double* differences) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const cuda::QNetwork q{fast_width, fast_hidden, parameters};
  float w_in[16], w_out[16];  // the mean's half, then the log variance's
#pragma unroll
  for (int k = 0; k < 16; ++k) {
    const int half = k / fast_hidden, unit = k % fast_hidden;
    w_in[k] = parameters[q.w_in(half) + unit * fast_width + lane];
    w_out[k] = parameters[q.w_out(half) + lane * fast_hidden + unit];
  }
  const float b_mean = parameters[q.b_out(0) + lane], b_log_variance = parameters[q.b_out(1) + lane];
  const int own_unit = lane / 2;  // the hidden unit that this lane ends with
  const float b_in = parameters[q.b_in(own_unit / fast_hidden) + own_unit % fast_hidden];

  const double sum = sum_over_rows(blockIdx.x, rows.generic.rows, [&](std::int64_t i) {
    const std::int64_t pair = rows.permutation[i];
    const float x = rows.generic(i, lane), own = rows.unique(i, lane), other = rows.unique(pair, lane);
    float value[16];
#pragma unroll
    for (int k = 0; k < 16; ++k) value[k] = w_in[k] * x;
    const float sum_in = reduce_scatter(value) + b_in;
    const float hidden = sum_in < 0.0f ? 0.0f : sum_in;
    float mean = b_mean, log_variance = b_log_variance;
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      mean = __fmaf_rn(w_out[k], __shfl_sync(cuda::full_warp, hidden, 2 * k), mean);
      log_variance = __fmaf_rn(w_out[k + 8], __shfl_sync(cuda::full_warp, hidden, 2 * k + 16), log_variance);
    }
    const Feature feature = differentiate(mean, log_variance, own, other, rows.scale);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      value[k] = w_out[k] * feature.d_mean;
      value[k + 8] = w_out[k + 8] * feature.d_log_variance;
    }
    const float sum_out = reduce_scatter(value);
    const float d_hidden = hidden > 0.0f ? sum_out : 0.0f;
    float dx = 0.0f;
#pragma unroll
    for (int k = 0; k < 16; ++k) {
      dx = __fmaf_rn(w_in[k], __shfl_sync(cuda::full_warp, d_hidden, 2 * k), dx);
    }
    rows.d_generic(i, lane) = dx;
    rows.d_unique(i, lane) = feature.d_own;
    rows.d_others(pair, lane) = feature.d_other;
    return feature.difference;
  });
  store_sum(sum, blockIdx.x, differences);
}

/// Any width, any number of hidden units: a row's activations lie in shared memory, or in `activations`,
/// which has a place for each warp of the grid.
template <bool in_shared_memory>
__global__ void __launch_bounds__(block_threads, 2)
    club_rows_kernel(Rows rows, cuda::QNetwork q, std::int64_t groups, double* differences,
                     float* activations) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  float* of_block;
  if constexpr (in_shared_memory) {
    of_block = reinterpret_cast<float*>(&cuda::shared_memory<Shared>() + 1);
  } else {
    of_block = activations + blockIdx.x * activations_of_block(q.width, q.hidden);
  }
  const cuda::QRow at(of_block + warp * cuda::QRow::size(q.width, q.hidden), q);
  for (std::int64_t group = blockIdx.x; group < groups; group += gridDim.x) {
    const double sum = sum_over_rows(group, rows.generic.rows, [&](std::int64_t i) {
      const std::int64_t pair = rows.permutation[i];
      cuda::q_forward(q, rows.generic.row(i), at);
      float difference = 0.0f;
      for (int j = lane; j < q.width; j += 32) {
        const Feature feature = differentiate(at.mean[j], at.log_variance[j], rows.unique(i, j),
                                              rows.unique(pair, j), rows.scale);
        difference += feature.difference;
        at.mean[j] = feature.d_mean;
        at.log_variance[j] = feature.d_log_variance;
        rows.d_unique(i, j) = feature.d_own;
        rows.d_others(pair, j) = feature.d_other;
      }
      cuda::q_backward_hidden(q, at);
      for (int j = lane; j < q.width; j += 32) rows.d_generic(i, j) = cuda::q_backward_input(q, at, j);
      return difference;
    });
    store_sum(sum, group, differences);
  }
}

/// The loss; and the gradients' last part, for which every block adds up the mean itself.
__global__ void __launch_bounds__(block_threads)
    club_finish_kernel(const double* differences, std::int64_t count, ConstMatrixView d_others, float* loss,
                       MatrixView d_generic, MatrixView d_unique) {
  const double sum =
      cuda::sum_of_partials<block_threads>(differences, count, cuda::shared_memory<Shared>().warp_sums);
  const double mean = sum / static_cast<double>(d_others.rows);
  const bool gated = mean <= 0.0;
  if (blockIdx.x == 0 && threadIdx.x == 0) *loss = gated ? 0.0f : static_cast<float>(0.5 * mean);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  for (int k = warp; k < rows_per_block; k += warps) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * rows_per_block + k;
    if (i >= d_others.rows) return;
    for (std::int64_t j = lane; j < d_others.columns; j += 32) {
      if (gated) d_generic(i, j) = 0.0f;
      d_unique(i, j) = gated ? 0.0f : d_unique(i, j) + d_others(i, j);
    }
  }
}

}  // namespace

void CudaBackend::club(ConstMatrixView generic, ConstMatrixView unique, ConstIndexView permutation,
                       const VariationalNetworkView& q, float weight, float* loss, MatrixView d_generic,
                       MatrixView d_unique, Workspace workspace) {
  const std::int64_t n = generic.rows;
  const std::int64_t width = generic.columns;
  checks::club(generic, unique, permutation, q, d_generic, d_unique);

  const std::int64_t blocks = cuda::blocks_of(n, rows_per_block);
  cuda::Scratch scratch(name, workspace);
  const MatrixView d_others(scratch.take<float>(n * width), n, width);
  double* differences = scratch.take<double>(blocks);

  const auto scale = static_cast<float>(static_cast<double>(weight) / (2.0 * static_cast<double>(n)));
  const Rows rows{generic, unique, permutation.data(), scale, d_generic, d_unique, d_others};
  cuda::Grid grid{dim3(cuda::grid_size(blocks)), dim3(block_threads), sizeof(Shared)};
  if (width == fast_width && q.hidden == fast_hidden) {
    cuda::launch(context_->stream, name, grid, &club_rows_32_8_kernel, rows, q.parameters.data(),
                 differences);
  } else {
    const cuda::QNetwork network{static_cast<int>(width), static_cast<int>(q.hidden), q.parameters.data()};
    const std::int64_t activations = activations_of_block(width, q.hidden);
    cuda::Grid with_rows = grid;
    if (fit_in_shared_memory(width, q.hidden)) {
      with_rows.shared_bytes += static_cast<std::size_t>(activations) * sizeof(float);
      cuda::launch(context_->stream, name, with_rows, &club_rows_kernel<true>, rows, network, blocks,
                   differences, static_cast<float*>(nullptr));
    } else {
      const std::int64_t at_once = std::min(blocks, most_blocks_in_workspace);
      with_rows.blocks = dim3(cuda::grid_size(at_once));
      cuda::launch(context_->stream, name, with_rows, &club_rows_kernel<false>, rows, network, blocks,
                   differences, scratch.take<float>(at_once * activations));
    }
  }
  cuda::launch(context_->stream, name, grid, &club_finish_kernel, differences, blocks, d_others, loss,
               d_generic, d_unique);
}

std::size_t CudaBackend::club_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const {
  const std::int64_t blocks = cuda::blocks_of(n, rows_per_block);
  const std::size_t activations =
      fit_in_shared_memory(width, hidden)
          ? 0
          : cuda::scratch_bytes<float>(std::min(blocks, most_blocks_in_workspace) *
                                       activations_of_block(width, hidden));
  return cuda::scratch_bytes<float>(n * width) + cuda::scratch_bytes<double>(blocks) + activations;
}

}  // namespace sea
