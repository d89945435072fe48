#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// On all nodes, both modalities side by side.
void add(Case& c) {
  const std::int64_t nodes = c.size.users + c.size.items;
  const ConstMatrixView a = c.random(nodes, 128), b = c.random(nodes, 128);
  const MatrixView y = c.matrix(nodes, 128);
  const auto n = static_cast<double>(y.size());
  c.time({.bytes = 4 * 3 * n, .operations = n}, [=, &backend = c.backend] { backend.add(a, b, y); });
}

const Operator rows("add", growing_items(100'000), {{"add", add}});

}  // namespace

}  // namespace sea::bench
