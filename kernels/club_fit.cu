// Fits q: dependent full-batch Adam steps on tiny matrices, all in one persistent cooperative kernel.
//
// Floor, 32 wide with 8 hidden units: 2,560 multiply-adds and 32 times a tanh and an exp a row and step; two
// pairs of 7,050 rows: 36 M multiply-adds and about 20 M operations beside them, and 3.6 MB to read once. On
// 64 multiprocessors at full rate 4 us per step; the barrier and the sum of the parts, 280 KB from the second
// cache for every block, cost about as much. At most 64 blocks, so that the model's backward runs beside it.
// Each block keeps q, its moments and (where they fit) its rows in shared memory for all steps; it writes its
// part of the gradient, passes one grid barrier, and adds up all parts itself, in their order: every block
// makes the same update. Parts are double-buffered. Tensor cores would not be faster: in three TF32 products
// these narrow layers take as long as in float32.
//
// Other widths take a plain path: one warp per row, activations in global memory, two barriers per step.

#include <algorithm>

#include "club_fit_tiles.cuh"
#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/variational_network.cuh"
#include "sea/detail/checks/losses.hpp"
#include "tuned.cuh"

namespace sea {

namespace {

using cuda::ClubFit;
using cuda::FitCut;
using cuda::QRow;
using Tiles = cuda::FitTiles<cuda::tuned::FitTiling>;
using PlainTiling = cuda::FitTiling<64, 64>;  ///< of other widths

constexpr const char* name = "club_fit";
constexpr std::size_t most_pairs = 2;

/// One sum over rows of a product of two columns, or of one alone.
struct ColumnProduct {
  const float* left;
  const float* right;  ///< null: 1
  std::int64_t left_row, right_row;

  __device__ float sum(int rows) const {
    float total = 0.0f;
    for (int r = 0; r < rows; ++r) {
      const float factor = right != nullptr ? right[r * right_row] : 1.0f;
      total = __fmaf_rn(left[r * left_row], factor, total);
    }
    return total;
  }
};

/// Whose sum is the gradient of a parameter: over rows of x and of activations that begin at `x` and `at`.
__device__ ColumnProduct product_of(const cuda::QNetwork& q, std::int64_t parameter, ConstMatrixView x,
                                    const QRow& at) {
  const std::int64_t row = QRow::size(q.width, q.hidden);
  const int half = parameter < q.half_size() ? 0 : 1;
  const float* hidden = at.hidden + half * q.hidden;
  const float* d_hidden = at.d_hidden + half * q.hidden;
  const float* d_out = half == 0 ? at.mean : at.log_variance;
  if (parameter < q.b_in(half)) {
    const std::int64_t i = parameter - q.w_in(half);
    return {d_hidden + i / q.width, x.data + i % q.width, row, x.leading_dimension};
  }
  if (parameter < q.w_out(half)) return {d_hidden + (parameter - q.b_in(half)), nullptr, row, 0};
  if (parameter < q.b_out(half)) {
    const std::int64_t i = parameter - q.w_out(half);
    return {d_out + i / q.hidden, hidden + i % q.hidden, row, row};
  }
  return {d_out + (parameter - q.b_out(half)), nullptr, row, 0};
}

struct Shared {
  double warp_sums[32];
  cuda::AdamStep adam;
};

__global__ void __launch_bounds__(PlainTiling::threads, 1)
    club_fit_kernel(ClubFit<PlainTiling> fit, cuda::QNetwork q, float* activations) {
  Shared& shared = cuda::shared_memory<Shared>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const FitCut<PlainTiling>& cut = fit.cut;
  const int block = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  const int first_chunk = cut.first_chunk(block, blocks);
  const int end_chunk = cut.first_chunk(block + 1, blocks);
  const std::int64_t row_size = QRow::size(q.width, q.hidden);

  for (std::int64_t step = 0; step < fit.steps; ++step) {
    if (thread == 0) shared.adam = fit.adam(step);
    for (int chunk = first_chunk; chunk < end_chunk; ++chunk) {
      double loss = 0.0;
      float* gradients = fit.gradients_of(0, chunk);
      const int first_tile = cut.first_tile(chunk);
      for (int tile = first_tile; tile < cut.first_tile(chunk + 1); ++tile) {
        const PairView& pair = fit.pairs[cut.pair_of(tile)];
        const int rows = cut.rows_of(tile);
        const ConstMatrixView x = pair.x.row_range(cut.first_row(tile), rows);
        const ConstMatrixView y = pair.y.row_range(cut.first_row(tile), rows);
        // A block's tiles use the same place one after the other.
        float* of_tile = activations + std::int64_t{block} * PlainTiling::rows * row_size;
        for (int r = warp; r < rows; r += PlainTiling::threads / 32) {
          const QRow at(of_tile + r * row_size, q);
          cuda::q_forward(q, x.row(r), at);
          float row_loss = 0.0f;
          for (int j = lane; j < q.width; j += 32) {
            row_loss += cuda::fit_feature(y(r, j), at.mean[j], at.log_variance[j]);
          }
          cuda::q_backward_hidden(q, at);
          row_loss = cuda::warp_sum(row_loss);
          if (lane == 0) loss += static_cast<double>(row_loss);
        }
        __syncthreads();
        for (std::int64_t i = thread; i < fit.count; i += PlainTiling::threads) {
          const float sum = product_of(q, i, x, QRow(of_tile, q)).sum(rows);
          gradients[i] = tile == first_tile ? sum : gradients[i] + sum;
        }
        __syncthreads();
      }
      loss = cuda::block_sum<PlainTiling::threads>(loss, shared.warp_sums);
      if (thread == 0) fit.chunk_losses[chunk] = loss;
    }
    cuda::grid_sync();
    const std::int64_t stride = std::int64_t{blocks} * PlainTiling::threads;
    for (std::int64_t i = std::int64_t{block} * PlainTiling::threads + thread; i < fit.count; i += stride) {
      cuda::adam_update(shared.adam, cuda::fit_gradient(fit, 0, i), fit.parameters[i], fit.first_moment[i],
                        fit.second_moment[i]);
    }
    cuda::write_fit_loss(fit, 0, step);
    cuda::grid_sync();
  }
}

std::size_t most_shared_bytes(int device) {
  int bytes = 0;
  cuda::check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), name,
              "reading a device attribute");
  return static_cast<std::size_t>(bytes);
}

bool has_tiles(std::int64_t width, std::int64_t hidden) {
  return width == Tiles::width && hidden == Tiles::hidden;
}

}  // namespace

void CudaBackend::club_fit(std::span<const PairView> pairs, std::int64_t hidden, VectorView parameters,
                           VectorView first_moment, VectorView second_moment, const AdamSettings& settings,
                           const OptimizerState* state, VectorView losses, Workspace workspace) {
  checks::club_fit(pairs, hidden, parameters, first_moment, second_moment);
  const std::int64_t n = pairs[0].x.rows;
  const std::int64_t width = pairs[0].x.columns;
  bool aligned = true;
  for (const PairView& pair : pairs) {
    aligned = aligned && cuda::rows_aligned(pair.x) && cuda::rows_aligned(pair.y);
  }
  const std::int64_t count = VariationalNetworkView::parameter_count(width, hidden);

  cuda::Scratch scratch(name, workspace);
  const auto prepare = [&]<class Tiling>() {
    const FitCut<Tiling> cut(n, static_cast<std::int64_t>(pairs.size()));
    float* gradients = scratch.take<float>(2 * cut.chunks * count);
    double* chunk_losses = scratch.take<double>(2 * cut.chunks);
    return ClubFit<Tiling>{{pairs.front(), pairs.back()},
                           cut,
                           static_cast<std::int64_t>(losses.size()),
                           count,
                           parameters.data(),
                           first_moment.data(),
                           second_moment.data(),
                           settings,
                           state,
                           losses.data(),
                           gradients,
                           chunk_losses};
  };
  // A block per multiprocessor at most, so that all of them run at one time.
  const auto blocks_for = [&](int chunks) {
    return std::min(chunks, context_->cooperative_multiprocessors());
  };
  if (has_tiles(width, hidden)) {
    const auto fit = prepare.operator()<cuda::tuned::FitTiling>();
    if (losses.empty()) return;
    cuda::start_fit_tiles(context_->stream, name, fit, aligned, blocks_for(fit.cut.chunks),
                          most_shared_bytes(context_->device));
  } else {
    const auto fit = prepare.operator()<PlainTiling>();
    float* activations =
        scratch.take<float>(std::int64_t{fit.cut.chunks} * PlainTiling::rows * QRow::size(width, hidden));
    if (losses.empty()) return;
    const cuda::QNetwork q{static_cast<int>(width), static_cast<int>(hidden), parameters.data()};
    const cuda::Grid grid{dim3(cuda::grid_size(blocks_for(fit.cut.chunks))), dim3(PlainTiling::threads),
                          sizeof(Shared), true};
    cuda::launch(context_->stream, name, grid, &club_fit_kernel, fit, q, activations);
  }
}

std::size_t CudaBackend::club_fit_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const {
  const std::int64_t count = VariationalNetworkView::parameter_count(width, hidden);
  const auto bytes_of = [&](std::int64_t chunks) {
    return cuda::scratch_bytes<float>(2 * chunks * count) + cuda::scratch_bytes<double>(2 * chunks);
  };
  if (has_tiles(width, hidden)) return bytes_of(FitCut<cuda::tuned::FitTiling>(n, most_pairs).chunks);
  const std::int64_t chunks = FitCut<PlainTiling>(n, most_pairs).chunks;
  return bytes_of(chunks) +
         cuda::scratch_bytes<float>(chunks * PlainTiling::rows * QRow::size(width, hidden));
}

}  // namespace sea
