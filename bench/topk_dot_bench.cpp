#include <algorithm>

#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// One block of an evaluation: 4096 users, all items but those of their history, 50 kept.
struct Inputs {
  static constexpr std::int64_t width = 128, most_queries = 4096;
  explicit Inputs(Case& c)
      : queries(c.random(std::min(c.size.users, most_queries), width)),
        keys(c.random(c.size.items, width)),
        k(std::min<std::int64_t>(50, c.size.items)),
        excluded(c.upload(c.interactions()).row_range(0, queries.rows)) {}
  Work work() const {
    const auto q = static_cast<double>(queries.rows), n = static_cast<double>(keys.rows);
    return {.bytes = 4 * width * (q + n) + 8 * q * static_cast<double>(k), .operations = 2 * q * n * width};
  }
  ConstMatrixView queries, keys;
  std::int64_t k;
  CsrPatternView excluded;
};

void topk_dot(Case& c) {
  const Inputs in(c);
  const std::int64_t rows = in.queries.rows;
  const IndexView ids = c.indices(rows * in.k);
  const VectorView scores = c.vector(rows * in.k);
  const Workspace workspace = c.workspace(c.backend.topk_dot_workspace(rows, in.keys.rows, in.width, in.k));
  c.time(in.work(), [=, &backend = c.backend] {
    backend.topk_dot(in.queries, in.keys, in.k, in.excluded, ids, scores, workspace);
  });
}

void brute_force(Case& c) {
  const Inputs in(c);
  c.time(in.work(), c.device.brute_force_topk(in.queries, in.keys, in.k, in.excluded));
}

const Operator rows("topk_dot", growing_items(100'000),
                    {{"topk_dot", topk_dot}, {"topk_dot", brute_force, "brute_force"}});

}  // namespace

}  // namespace sea::bench
