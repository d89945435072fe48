#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A table of all nodes. A draw of four elements takes about 90 operations on integers, which are not
/// counted.
void dropout_mask(Case& c) {
  const MatrixView y = c.matrix(c.size.users + c.size.items, 64);
  c.time({.bytes = 4.0 * static_cast<double>(y.size()), .operations = 0},
         [=, &backend = c.backend, state = c.state()] { backend.dropout_mask(0.3f, 999, 0, state, y); });
}

const Operator rows("dropout_mask", growing_items(100'000), {{"dropout_mask", dropout_mask}});

}  // namespace

}  // namespace sea::bench
