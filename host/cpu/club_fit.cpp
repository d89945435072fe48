#include <algorithm>

#include "cpu/adam_update.hpp"
#include "cpu/chunks.hpp"
#include "cpu/column_sums.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "cpu/variational_block.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"

namespace sea {

namespace {

using cpu::blocks_of;
using cpu::Chunks;
using cpu::fold_lanes;
using cpu::lane_product;
using cpu::q_rows;
using cpu::QActivations;
using cpu::QNetwork;
using cpu::simd_lanes;

constexpr const char* name = "club_fit";
constexpr std::size_t most_pairs = 2;

/// The blocks of all pairs, one pair after the other, cut into the parts in which a step sums its gradient.
Chunks chunks_of(std::int64_t n, std::int64_t pairs) {
  return {pairs * blocks_of(n, q_rows), 16};
}

/// What a thread needs: the activations of a block, each row's part of the loss, and the parameters'
/// gradients spread over the vector lanes (`lane_product`).
struct FitScratch {
  QActivations activations;
  float* losses;  ///< q_rows
  float* sums;    ///< parameters x simd_lanes

  static std::int64_t size(std::int64_t width, std::int64_t hidden) {
    return QActivations::size(width, hidden) + q_rows +
           VariationalNetworkView::parameter_count(width, hidden) * cpu::padding;
  }
  FitScratch(float* memory, std::int64_t slot, std::int64_t width, std::int64_t hidden)
      : activations(memory + slot * size(width, hidden), width, hidden),
        losses(memory + slot * size(width, hidden) + QActivations::size(width, hidden)),
        sums(losses + q_rows) {}
};

/// Turns the outputs of q into the gradients of -ll: d mean = (mean - y) / variance and, through the tanh,
/// d log variance = (1 - (mean - y)^2 / variance) / 2. Returns the sum of -ll. Both for `rows` rows; the
/// others' gradients are zero.
double likelihood(std::int64_t width, std::int64_t rows, const float* y, const QActivations& at,
                  float* losses) {
  std::fill_n(losses, q_rows, 0.0f);
  for (std::int64_t j = 0; j < width; ++j) {
    float* mean = at.mean + j * q_rows;
    float* log_variance = at.log_variance + j * q_rows;
    const float* target = y + j * q_rows;
#pragma omp simd
    for (std::int64_t r = 0; r < q_rows; ++r) {
      const float residual = mean[r] - target[r];
      const float log_of_variance = fast_tanh(log_variance[r]);
      const float scaled = residual * fast_exp(-log_of_variance);
      const float square = residual * scaled;
      losses[r] += square + log_of_variance;
      mean[r] = scaled;
      log_variance[r] = (0.5f - 0.5f * square) * (1.0f - log_of_variance * log_of_variance);
    }
    std::fill(mean + rows, mean + q_rows, 0.0f);
    std::fill(log_variance + rows, log_variance + q_rows, 0.0f);
  }
  double total = 0.0;
  for (std::int64_t r = 0; r < rows; ++r) total += static_cast<double>(losses[r]);
  return 0.5 * total;
}

/// sums[o] += the rows' sum of out[o], by lanes.
float* add_bias_gradient(std::int64_t outputs, const float* d_out, float* sums) {
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t r = 0; r < q_rows; r += simd_lanes) {
#pragma omp simd
      for (std::int64_t lane = 0; lane < simd_lanes; ++lane) {
        sums[o * simd_lanes + lane] += d_out[o * q_rows + r + lane];
      }
    }
  }
  return sums + outputs * simd_lanes;
}

/// sums += the gradients of a linear layer's weight (outputs x inputs) and bias; returns what follows them.
float* add_layer_gradient(std::int64_t outputs, std::int64_t inputs, const float* d_out, const float* in,
                          float* sums) {
  lane_product(outputs, inputs, q_rows, d_out, q_rows, in, q_rows, sums);
  return add_bias_gradient(outputs, d_out, sums + outputs * inputs * simd_lanes);
}

/// One block of one pair: adds to the lanes' gradients, returns the sum of -ll.
double fit_block(const QNetwork& q, std::int64_t rows, const float* x, const float* y,
                 const FitScratch& scratch) {
  const QActivations& at = scratch.activations;
  q_forward(q, x, at);
  const double loss = likelihood(q.width, rows, y, at, scratch.losses);
  q_backward_hidden(q, at);
  float* sums = scratch.sums;
  sums = add_layer_gradient(q.hidden, q.width, at.d_mean_hidden, x, sums);
  sums = add_layer_gradient(q.width, q.hidden, at.mean, at.mean_hidden, sums);
  sums = add_layer_gradient(q.hidden, q.width, at.d_log_variance_hidden, x, sums);
  add_layer_gradient(q.width, q.hidden, at.log_variance, at.log_variance_hidden, sums);
  return loss;
}

}  // namespace

void CpuBackend::club_fit(std::span<const PairView> pairs, std::int64_t hidden, VectorView parameters,
                          VectorView first_moment, VectorView second_moment, const AdamSettings& settings,
                          const OptimizerState* state, VectorView losses, Workspace workspace) {
  checks::club_fit(pairs, hidden, parameters, first_moment, second_moment);
  const std::int64_t n = pairs[0].x.rows;
  const std::int64_t width = pairs[0].x.columns;
  const std::int64_t count = VariationalNetworkView::parameter_count(width, hidden);

  const std::int64_t pair_blocks = blocks_of(n, q_rows);
  const std::int64_t blocks = static_cast<std::int64_t>(pairs.size()) * pair_blocks;
  const Chunks chunks = chunks_of(n, static_cast<std::int64_t>(pairs.size()));
  const std::int64_t block_size = width * q_rows;
  cpu::Scratch scratch(name, workspace);
  float* by_features = scratch.take<float>(blocks * 2 * block_size);
  float* gradients = scratch.take<float>(chunks.count() * count);
  double* chunk_losses = scratch.take<double>(chunks.count());
  float* gradient = scratch.take<float>(count);
  float* slots = scratch.take<float>(pool_->threads() * FitScratch::size(width, hidden));

  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const PairView& pair = pairs[static_cast<std::size_t>(block / pair_blocks)];
    const std::int64_t first = block % pair_blocks * q_rows;
    cpu::load_by_features(pair.x, first, by_features + 2 * block * block_size);
    cpu::load_by_features(pair.y, first, by_features + (2 * block + 1) * block_size);
  });

  const QNetwork q(width, hidden, parameters.data());
  const auto steps = static_cast<std::int64_t>(losses.size());
  for (std::int64_t step = 0; step < steps; ++step) {
    pool_->parallel_for(chunks.count(), [&](std::int64_t chunk, int slot) {
      const FitScratch own(slots, slot, width, hidden);
      std::fill_n(own.sums, count * simd_lanes, 0.0f);
      double loss = 0.0;
      for (std::int64_t block = chunks.first(chunk); block < chunks.first(chunk + 1); ++block) {
        const std::int64_t rows = std::min(q_rows, n - block % pair_blocks * q_rows);
        const float* x = by_features + 2 * block * block_size;
        loss += fit_block(q, rows, x, x + block_size, own);
      }
      fold_lanes(count, own.sums, gradients + chunk * count);
      chunk_losses[chunk] = loss;
    });
    double loss = 0.0;
    for (std::int64_t chunk = 0; chunk < chunks.count(); ++chunk) loss += chunk_losses[chunk];
    losses[static_cast<std::size_t>(step)] = static_cast<float>(loss / static_cast<double>(n));

    cpu::sum_partials(gradients, chunks.count(), count, gradient);
    const float inverse_rows = 1.0f / static_cast<float>(n);
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) gradient[i] *= inverse_rows;
    cpu::adam_update(detail::adam_step(settings, state->learning_rate, state->step * steps + step + 1),
                     parameters.data(), gradient, first_moment.data(), second_moment.data(), count);
  }
}

std::size_t CpuBackend::club_fit_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const {
  const std::int64_t pairs = most_pairs;
  const std::int64_t blocks = pairs * blocks_of(n, q_rows);
  const std::int64_t chunks = chunks_of(n, pairs).count();
  const std::int64_t count = VariationalNetworkView::parameter_count(width, hidden);
  return cpu::scratch_bytes<float>(blocks * 2 * width * q_rows) + cpu::scratch_bytes<float>(chunks * count) +
         cpu::scratch_bytes<double>(chunks) + cpu::scratch_bytes<float>(count) +
         cpu::scratch_bytes<float>(pool_->threads() * FitScratch::size(width, hidden));
}

}  // namespace sea
