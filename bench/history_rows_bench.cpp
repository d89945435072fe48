#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// What the users of a batch have not seen.
void history_rows(Case& c) {
  const CsrPatternView history = c.upload(c.interactions());
  const BatchView batch = c.batch();
  const MatrixView y = c.matrix(c.size.batch, c.size.items);
  c.time({.bytes = 4 * static_cast<double>(y.size()), .operations = 0},
         [=, &backend = c.backend, state = c.state()] {
           backend.history_rows(history, batch.users, true, state, y);
         });
}

const Operator rows("history_rows", growing_items(10'000), {{"history_rows", history_rows}});

}  // namespace

}  // namespace sea::bench
