#include <algorithm>

#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// One block of an evaluation: 4096 users, all items but those of their history, 50 kept.
void rank_attentive(Case& c) {
  constexpr std::int64_t width = 64, most_queries = 4096;
  const ConstMatrixView queries = c.random(std::min(c.size.users, most_queries), width),
                        keys = c.random(c.size.items, 5 * width);
  const std::int64_t k = std::min<std::int64_t>(50, c.size.items), rows = queries.rows;
  const CsrPatternView excluded = c.upload(c.interactions()).row_range(0, rows);
  const IndexView ids = c.indices(rows * k);
  const VectorView scores = c.vector(rows * k);
  const Workspace workspace = c.workspace(c.backend.rank_attentive_workspace(rows, keys.rows, width, k));
  const auto q = static_cast<double>(rows), n = static_cast<double>(keys.rows);
  c.time({.bytes = 4 * width * (q + 5 * n) + 8 * q * static_cast<double>(k),
          .operations = q * n * (10 * width + 100)},
         [=, &backend = c.backend] {
           backend.rank_attentive(queries, keys, k, excluded, ids, scores, workspace);
         });
}

const Operator rows("rank_attentive", growing_items(100'000), {{"rank_attentive", rank_attentive}});

}  // namespace

}  // namespace sea::bench
