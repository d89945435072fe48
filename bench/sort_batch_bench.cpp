#include "support/bench.hpp"

namespace sea::bench {

namespace {

void sort_batch(Case& c) {
  const BatchView batch = c.batch();
  const BatchOrderView order{c.indices(3 * c.size.batch), c.indices(3 * c.size.batch)};
  const Workspace workspace = c.workspace(c.backend.sort_batch_workspace(c.size.batch));
  c.time({.bytes = 3 * 12.0 * static_cast<double>(c.size.batch), .operations = 0},
         [=, &backend = c.backend, state = c.state(), users = c.size.users] {
           backend.sort_batch(batch, users, state, order, workspace);
         });
}

const Operator rows("sort_batch", growing_batch(100'000), {{"sort_batch", sort_batch}});

}  // namespace

}  // namespace sea::bench
