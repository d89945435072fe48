#include <algorithm>
#include <array>
#include <cmath>

#include "cpu/batch_nodes.hpp"
#include "cpu/check.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"
#include "sea/fixed_dot.hpp"

namespace sea {

namespace {

constexpr const char* name = "embedding_norm";
constexpr std::int64_t triples_per_block = 64;

/// Of users, positives, negatives.
using ThreeSums = std::array<double, 3>;

}  // namespace

std::size_t CpuBackend::embedding_norm_workspace(std::int64_t batch_size) const {
  return cpu::scratch_bytes<ThreeSums>(cpu::blocks_of(batch_size, triples_per_block));
}

void CpuBackend::embedding_norm(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                                const BatchOrderView& order, const StepState* state, EmbeddingNorm norm,
                                float weight, float* loss, MatrixView d_users, MatrixView d_items,
                                Workspace workspace) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  const std::int64_t count = state->count, width = users.columns;
  checks::embedding_norm(users, items, batch, order, d_users, d_items);
  cpu::require_count(name, count, 1, batch_size);
  cpu::require_batch(name, batch, count, users.rows, items.rows);

  const std::int64_t blocks = cpu::blocks_of(count, triples_per_block);
  ThreeSums* partial_squares = cpu::Scratch(name, workspace).take<ThreeSums>(blocks);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    ThreeSums sums = {};
    const std::int64_t end = std::min(count, (block + 1) * triples_per_block);
    for (std::int64_t i = block * triples_per_block; i < end; ++i) {
      const float* const rows[] = {users.row(batch.users[i]), items.row(batch.positives[i]),
                                   items.row(batch.negatives[i])};
      for (int role = 0; role < 3; ++role) sums[role] += fixed_dot(rows[role], rows[role], width);
    }
    partial_squares[block] = sums;
  });
  ThreeSums squares = {};
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (int role = 0; role < 3; ++role) squares[role] += partial_squares[block][role];
  }

  // d (weight * loss) / d row, as a multiple of the row, for each time that a role names it.
  ThreeSums factors = {weight, weight, weight};
  double total = (squares[0] + squares[1] + squares[2]) / 2.0;
  if (norm == EmbeddingNorm::norms) {
    total = 0.0;
    for (int role = 0; role < 3; ++role) {
      const double length = std::sqrt(squares[role]);
      total += length / static_cast<double>(count);
      factors[role] = length > 0.0 ? weight / (length * static_cast<double>(count)) : 0.0;
    }
  }
  *loss = static_cast<float>(total);

  cpu::for_each_batch_node(*pool_, order, count, users.rows + items.rows, width,
                           [&](std::int64_t node, ConstIndexView sources) {
                             const bool is_user = node < users.rows;
                             const float* in = is_user ? users.row(node) : items.row(node - users.rows);
                             float* out = is_user ? d_users.row(node) : d_items.row(node - users.rows);
                             if (sources.empty()) {
                               std::fill_n(out, width, 0.0f);
                               return;
                             }
                             double sum = 0.0;
                             for (const std::int32_t source : sources) sum += factors[source / batch_size];
                             const auto factor = static_cast<float>(sum);
#pragma omp simd
                             for (std::int64_t j = 0; j < width; ++j) out[j] = factor * in[j];
                           });
}

}  // namespace sea
