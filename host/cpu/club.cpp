#include <algorithm>
#include <utility>

#include "cpu/check.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "cpu/variational_block.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"

namespace sea {

namespace {

using cpu::blocks_of;
using cpu::q_rows;
using cpu::QActivations;
using cpu::QNetwork;

constexpr const char* name = "club";

/// What a thread needs for a block of rows; all but `differences` are width x q_rows.
struct ClubScratch {
  QActivations activations;
  float* x;            ///< generic rows, later their gradient
  float* own;          ///< unique rows, later their gradient
  float* other;        ///< the rows they are paired with, later their gradient
  float* differences;  ///< ll(x, own) - ll(x, other), q_rows

  static std::int64_t size(std::int64_t width, std::int64_t hidden) {
    return QActivations::size(width, hidden) + (3 * width + 1) * q_rows;
  }
  ClubScratch(float* memory, std::int64_t slot, std::int64_t width, std::int64_t hidden)
      : activations(memory + slot * size(width, hidden), width, hidden),
        x(memory + slot * size(width, hidden) + QActivations::size(width, hidden)),
        own(x + width * q_rows),
        other(own + width * q_rows),
        differences(other + width * q_rows) {}
};

/// From the outputs of q, sums over the features of ll(x, own) - ll(x, other), in which the log variances
/// themselves cancel; the outputs and the two targets become the gradients of `scale` times that.
void differentiate(std::int64_t width, float scale, const ClubScratch& scratch) {
  std::fill_n(scratch.differences, q_rows, 0.0f);
  for (std::int64_t j = 0; j < width; ++j) {
    float* mean = scratch.activations.mean + j * q_rows;
    float* log_variance = scratch.activations.log_variance + j * q_rows;
    float* own = scratch.own + j * q_rows;
    float* other = scratch.other + j * q_rows;
#pragma omp simd
    for (std::int64_t r = 0; r < q_rows; ++r) {
      const float log_of_variance = fast_tanh(log_variance[r]);
      const float precision = fast_exp(-log_of_variance);
      const float from_own = mean[r] - own[r];
      const float from_other = mean[r] - other[r];
      const float apart = (own[r] - other[r]) * precision;
      const float difference = 0.5f * apart * (from_own + from_other);
      scratch.differences[r] += difference;
      mean[r] = scale * apart;
      log_variance[r] = -scale * difference * (1.0f - log_of_variance * log_of_variance);
      own[r] = scale * precision * from_own;
      other[r] = -scale * precision * from_other;
    }
  }
}

}  // namespace

void CpuBackend::club(ConstMatrixView generic, ConstMatrixView unique, ConstIndexView permutation,
                      const VariationalNetworkView& q, float weight, float* loss, MatrixView d_generic,
                      MatrixView d_unique, Workspace workspace) {
  const std::int64_t n = generic.rows;
  const std::int64_t width = generic.columns;
  checks::club(generic, unique, permutation, q, d_generic, d_unique);
  cpu::require_indices(name, "permutation", permutation, n, n);

  const std::int64_t blocks = blocks_of(n, q_rows);
  cpu::Scratch scratch(name, workspace);
  float* d_other = scratch.take<float>(n * width);
  // Two blocks would add to one row at once; the marks lie where the gradients will.
  std::fill_n(d_other, n, 0.0f);
  for (const std::int32_t row : permutation)
    cpu::require(std::exchange(d_other[row], 1.0f) == 0.0f, name, "the permutation must name each row once");
  double* differences = scratch.take<double>(blocks);
  float* slots = scratch.take<float>(pool_->threads() * ClubScratch::size(width, q.hidden));

  // Gradients are those of a positive mean. The ones that go to other rows wait until all rows have their
  // own.
  const QNetwork network(width, q.hidden, q.parameters.data());
  const auto scale = static_cast<float>(static_cast<double>(weight) / (2.0 * static_cast<double>(n)));
  const MatrixView others(d_other, n, width);
  pool_->parallel_for(blocks, [&](std::int64_t block, int slot) {
    const ClubScratch own(slots, slot, width, q.hidden);
    const std::int64_t first = block * q_rows;
    const std::int64_t rows = std::min(q_rows, n - first);
    cpu::load_by_features(generic, first, own.x);
    cpu::load_by_features(unique, first, own.own);
    for (std::int64_t j = 0; j < width; ++j) {
      for (std::int64_t r = 0; r < q_rows; ++r) {
        own.other[j * q_rows + r] = r < rows ? unique(permutation[first + r], j) : 0.0f;
      }
    }
    cpu::q_forward(network, own.x, own.activations);
    differentiate(width, scale, own);
    cpu::q_backward_hidden(network, own.activations);
    cpu::q_backward_input(network, own.activations, own.x);
    cpu::store_by_features(own.x, first, d_generic);
    cpu::store_by_features(own.own, first, d_unique);
    cpu::store_by_features(own.other, first, others);
    double sum = 0.0;
    for (std::int64_t r = 0; r < rows; ++r) sum += static_cast<double>(own.differences[r]);
    differences[block] = sum;
  });
  double sum = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) sum += differences[block];
  const double mean = sum / static_cast<double>(n);
  const bool gated = mean <= 0.0;
  *loss = gated ? 0.0f : static_cast<float>(0.5 * mean);

  cpu::for_each_row(*pool_, n, width, [&](std::int64_t i) {
    if (gated) {
      std::fill_n(d_generic.row(i), width, 0.0f);
      std::fill_n(d_unique.row(i), width, 0.0f);
    } else {
      float* row = d_unique.row(permutation[i]);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) row[j] += others(i, j);
    }
  });
}

std::size_t CpuBackend::club_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const {
  return cpu::scratch_bytes<float>(n * width) + cpu::scratch_bytes<double>(blocks_of(n, q_rows)) +
         cpu::scratch_bytes<float>(pool_->threads() * ClubScratch::size(width, hidden));
}

}  // namespace sea
