#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// On all nodes of a model without modalities, 64 wide.
void scale(Case& c) {
  const std::int64_t nodes = c.size.users + c.size.items;
  const ConstMatrixView x = c.random(nodes, 64);
  const MatrixView y = c.matrix(nodes, 64);
  const auto n = static_cast<double>(y.size());
  c.time({.bytes = 4 * 2 * n, .operations = n}, [=, &backend = c.backend] { backend.scale(0.25f, x, y); });
}

const Operator rows("scale", growing_items(100'000), {{"scale", scale}});

}  // namespace

}  // namespace sea::bench
