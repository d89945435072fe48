#include <algorithm>
#include <cmath>
#include <numbers>

#include "cpu/check.hpp"
#include "cpu/dot.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"

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
                     const BatchOrderView& order, const StepState* state, float weight, float* loss,
                     MatrixView d_users, MatrixView d_items, Workspace workspace) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  const std::int64_t count = state->count;
  cpu::require(users.columns == items.columns, "bpr", "users and items must have one width");
  cpu::require_shape("bpr", "d_users", d_users, users.rows, users.columns);
  cpu::require_shape("bpr", "d_items", d_items, items.rows, items.columns);
  cpu::require_size("bpr", "positives", batch.positives.size(), batch_size);
  cpu::require_size("bpr", "negatives", batch.negatives.size(), batch_size);
  cpu::require_size("bpr", "nodes", order.nodes.size(), 3 * batch_size);
  cpu::require_size("bpr", "sources", order.sources.size(), 3 * batch_size);
  cpu::require(count >= 1 && count <= batch_size, "bpr",
               "the count of the step state must be between 1 and the batch size");

  cpu::Scratch scratch("bpr", workspace);
  float* slopes = scratch.take<float>(batch_size);
  const std::int64_t blocks = cpu::blocks_of(count, triples_per_block);
  double* partial_losses = scratch.take<double>(blocks);
  const std::int64_t width = users.columns;
  const double scale = static_cast<double>(weight) / (static_cast<double>(count) * std::numbers::ln2);

  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(count, (block + 1) * triples_per_block);
    double sum = 0.0;
    for (std::int64_t i = block * triples_per_block; i < end; ++i) {
      const float* user = users.row(batch.users[i]);
      const double difference = cpu::dot(user, items.row(batch.positives[i]), width) -
                                cpu::dot(user, items.row(batch.negatives[i]), width);
      // log(1 + exp(-x)), and its slope -1 / (1 + exp(x)), from an exponential that cannot overflow.
      const double small = std::exp(-std::abs(difference));
      sum += std::max(-difference, 0.0) + std::log1p(small);
      const double slope = (difference > 0.0 ? -small : -1.0) / (1.0 + small);
      slopes[i] = static_cast<float>(scale * slope);
    }
    partial_losses[block] = sum;
  });
  double total = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) total += partial_losses[block];
  *loss = static_cast<float>(total / (static_cast<double>(count) * std::numbers::ln2));

  const Gather gather{users, items, batch, slopes};
  const std::int32_t* nodes = order.nodes.data();
  const std::int32_t* nodes_end = nodes + 3 * count;
  const std::int64_t rows = users.rows + items.rows;
  const std::int64_t block_rows = cpu::rows_per_block(width);
  pool_->parallel_for(cpu::blocks_of(rows, block_rows), [&](std::int64_t block, int) {
    const std::int64_t begin = block * block_rows;
    const std::int64_t end = std::min(rows, begin + block_rows);
    const std::int32_t* next = std::lower_bound(nodes, nodes_end, begin);
    for (std::int64_t node = begin; node < end; ++node) {
      float* row = node < users.rows ? d_users.row(node) : d_items.row(node - users.rows);
      if (next == nodes_end || *next != node) {
        std::fill_n(row, width, 0.0f);
        continue;
      }
      gather.into<true>(row, order.sources[next - nodes]);
      for (++next; next != nodes_end && *next == node; ++next) {
        gather.into<false>(row, order.sources[next - nodes]);
      }
    }
  });
}

}  // namespace sea
