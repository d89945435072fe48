#pragma once

#include <cstdint>

#include "common/adam_update.cuh"
#include "common/approximate.cuh"
#include "common/reduce.cuh"
#include "sea/backend.hpp"
#include "variants.cuh"

// What both kernels of club_fit share: how rows are cut, what a row's likelihood gives, how parts are summed.

namespace sea::cuda {

/// The rows of all pairs, one pair after the other, in tiles; the tiles in chunks of nearly equal size, the
/// parts in which the gradient is summed. Their number depends on the shapes only, and the bits with it,
/// whatever the number of blocks that share them.
template <class Tiling>
struct FitCut {
  std::int64_t n;
  int tiles_per_pair, tiles, chunks;

  FitCut(std::int64_t n_, std::int64_t pairs)
      : n(n_),
        tiles_per_pair(static_cast<int>((n + Tiling::rows - 1) / Tiling::rows)),
        tiles(static_cast<int>(pairs) * tiles_per_pair),
        chunks(tiles < Tiling::most_chunks ? tiles : Tiling::most_chunks) {}

  SEA_HOST_DEVICE int first_tile(int chunk) const { return chunk * tiles / chunks; }
  /// The chunks of a block are those from `first_chunk(block)` to that of the next one.
  SEA_HOST_DEVICE int first_chunk(int block, int blocks) const { return block * chunks / blocks; }
  __device__ int pair_of(int tile) const { return tile / tiles_per_pair; }
  __device__ std::int64_t first_row(int tile) const {
    return std::int64_t{tile % tiles_per_pair} * Tiling::rows;
  }
  __device__ int rows_of(int tile) const {
    const std::int64_t left = n - first_row(tile);
    return left < Tiling::rows ? static_cast<int>(left) : Tiling::rows;
  }
};

template <class Tiling>
struct ClubFit {
  PairView pairs[2];
  FitCut<Tiling> cut;
  std::int64_t steps;
  std::int64_t count;  ///< of parameters
  float *parameters, *first_moment, *second_moment;
  AdamSettings settings;
  const OptimizerState* state;
  float* losses;
  float* gradients;      ///< 2 x chunks x count: those of a step and of the next one
  double* chunk_losses;  ///< 2 x chunks

  __device__ float* gradients_of(int buffer, int chunk) const {
    return gradients + std::int64_t{buffer * cut.chunks + chunk} * count;
  }
  __device__ AdamStep adam(std::int64_t step) const {
    return adam_step(settings, state->learning_rate, state->step * steps + step + 1);
  }
};

/// Turns the outputs of q for one feature into the gradients of -ll, the log variance's before the tanh.
/// Returns twice the feature's part of -ll.
__device__ __forceinline__ float fit_feature(float y, float& mean, float& log_variance) {
  const float residual = mean - y;
  // tanh x = 1 - 2 / (1 + e^(2 x)), to 2^-22 absolutely, as its sums and its derivative take it; ends in +-1.
  constexpr float log2_e = 0x1.715476p0f;
  const float log_of_variance =
      __fmaf_rn(-2.0f, reciprocal_approx(1.0f + exp2_approx(2.0f * log2_e * log_variance)), 1.0f);
  const float scaled = residual * exp2_approx(-log2_e * log_of_variance);
  const float square = residual * scaled;
  mean = scaled;
  log_variance = (0.5f - 0.5f * square) * (1.0f - log_of_variance * log_of_variance);
  return square + log_of_variance;
}

/// One parameter's gradient, of the chunks in their order. Other blocks wrote them: past the first-level
/// cache.
template <class Tiling>
__device__ __forceinline__ float fit_gradient(const ClubFit<Tiling>& fit, int buffer,
                                              std::int64_t parameter) {
  const float* gradients = fit.gradients_of(buffer, 0) + parameter;
  float sum = 0.0f;
#pragma unroll 16
  for (int chunk = 0; chunk < fit.cut.chunks; ++chunk) sum += __ldcg(gradients + chunk * fit.count);
  return sum / static_cast<float>(fit.cut.n);
}

/// losses[step], by one warp of one block.
template <class Tiling>
__device__ __forceinline__ void write_fit_loss(const ClubFit<Tiling>& fit, int buffer, std::int64_t step) {
  if (blockIdx.x != 0 || threadIdx.x / 32 != Tiling::threads / 32 - 1) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  double sum = 0.0;
  for (int chunk = lane; chunk < fit.cut.chunks; chunk += 32) {
    sum += __ldcg(fit.chunk_losses + buffer * fit.cut.chunks + chunk);
  }
  sum = warp_sum(sum);
  if (lane == 0) fit.losses[step] = static_cast<float>(0.5 * sum / static_cast<double>(fit.cut.n));
}

}  // namespace sea::cuda
