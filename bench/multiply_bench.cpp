#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A gate on all items, 64 wide.
void multiply(Case& c) {
  const ConstMatrixView a = c.random(c.size.items, 64), b = c.random(c.size.items, 64);
  const MatrixView y = c.matrix(c.size.items, 64);
  const auto n = static_cast<double>(y.size());
  c.time({.bytes = 4 * 3 * n, .operations = n}, [=, &backend = c.backend] { backend.multiply(a, b, y); });
}

const Operator rows("multiply", growing_items(1'000'000), {{"multiply", multiply}});

}  // namespace

}  // namespace sea::bench
