#include <algorithm>
#include <cmath>

#include "cpu/batch_nodes.hpp"
#include "cpu/check.hpp"
#include "cpu/dot.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/bpr_divisor.hpp"
#include "sea/detail/checks/losses.hpp"

namespace sea {

namespace {

constexpr std::int64_t triples_per_block = 64;

/// What a batch means for one of its sources: d score difference / d row.
struct Gather {
  ConstMatrixView users, items;
  const BatchView& batch;
  const float* slopes;  ///< d (weight * loss) / d score difference, a triple each

  /// row += or = slope * d difference / d row, for the row that `source` stands for.
  template <bool first>
  void into(float* row, std::int32_t source) const {
    const auto batch_size = static_cast<std::int32_t>(batch.users.size());
    const std::int32_t role = source / batch_size;
    const std::int32_t i = source % batch_size;
    const std::int64_t width = users.columns;
    if (role == 0) {
      const float slope = slopes[i];
      const float* positive = items.row(batch.positives[i]);
      const float* negative = items.row(batch.negatives[i]);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) {
        const float part = slope * (positive[j] - negative[j]);
        row[j] = first ? part : row[j] + part;
      }
    } else {
      const float slope = role == 1 ? slopes[i] : -slopes[i];
      const float* user = users.row(batch.users[i]);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) row[j] = first ? slope * user[j] : row[j] + slope * user[j];
    }
  }
};

}  // namespace

std::size_t CpuBackend::bpr_workspace(std::int64_t batch_size, std::int64_t) const {
  return cpu::scratch_bytes<float>(batch_size) +
         cpu::scratch_bytes<double>(cpu::blocks_of(batch_size, triples_per_block));
}

void CpuBackend::bpr(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                     const BatchOrderView& order, const StepState* state, BprSum sum, float weight,
                     float* loss, MatrixView d_users, MatrixView d_items, Workspace workspace) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  const std::int64_t count = state->count;
  checks::bpr(users, items, batch, order, d_users, d_items);
  cpu::require_count("bpr", count, 1, batch_size);
  cpu::require_batch("bpr", batch, count, users.rows, items.rows);

  cpu::Scratch scratch("bpr", workspace);
  float* slopes = scratch.take<float>(batch_size);
  const std::int64_t blocks = cpu::blocks_of(count, triples_per_block);
  double* partial_losses = scratch.take<double>(blocks);
  const std::int64_t width = users.columns;
  const double divisor = detail::bpr_divisor(sum, count);
  const double scale = static_cast<double>(weight) / divisor;

  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(count, (block + 1) * triples_per_block);
    double block_sum = 0.0;
    for (std::int64_t i = block * triples_per_block; i < end; ++i) {
      const float* user = users.row(batch.users[i]);
      const double difference = cpu::dot(user, items.row(batch.positives[i]), width) -
                                cpu::dot(user, items.row(batch.negatives[i]), width);
      // log(1 + exp(-x)), and its slope -1 / (1 + exp(x)), from an exponential that cannot overflow.
      const double small = std::exp(-std::abs(difference));
      block_sum += std::max(-difference, 0.0) + std::log1p(small);
      const double slope = (difference > 0.0 ? -small : -1.0) / (1.0 + small);
      slopes[i] = static_cast<float>(scale * slope);
    }
    partial_losses[block] = block_sum;
  });
  double total = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) total += partial_losses[block];
  *loss = static_cast<float>(total / divisor);

  const Gather gather{users, items, batch, slopes};
  cpu::for_each_batch_node(
      *pool_, order, count, users.rows + items.rows, width, [&](std::int64_t node, ConstIndexView sources) {
        float* row = node < users.rows ? d_users.row(node) : d_items.row(node - users.rows);
        if (sources.empty()) {
          std::fill_n(row, width, 0.0f);
          return;
        }
        gather.into<true>(row, sources.front());
        for (const std::int32_t source : sources.subspan(1)) {
          gather.into<false>(row, source);
        }
      });
}

}  // namespace sea
