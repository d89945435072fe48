#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A batch on representations of width 128; both gradients are written whole.
void bpr(Case& c) {
  constexpr std::int64_t width = 128;
  const Size& size = c.size;
  const ConstMatrixView users = c.random(size.users, width), items = c.random(size.items, width);
  const MatrixView d_users = c.matrix(size.users, width), d_items = c.matrix(size.items, width);
  const BatchView batch = c.batch();
  const BatchOrderView order = c.batch_order(batch);
  const Workspace workspace = c.workspace(c.backend.bpr_workspace(size.batch, width));
  float* const loss = c.buffer<float>(1);
  const auto read = 3.0 * static_cast<double>(size.batch * width);
  const auto written = static_cast<double>((size.users + size.items) * width);
  c.time({.bytes = 4 * (read + written) + 36.0 * static_cast<double>(size.batch), .operations = 9 * read / 3},
         [=, &backend = c.backend, state = c.state()] {
           backend.bpr(users, items, batch, order, state, BprSum::mean_log2, 1.0f, loss, d_users, d_items,
                       workspace);
         });
}

const Operator rows("bpr", growing_batch(1'000'000), {{"bpr", bpr}});

}  // namespace

}  // namespace sea::bench
