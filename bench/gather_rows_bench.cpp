#include "support/bench.hpp"

namespace sea::bench {

namespace {

constexpr std::int64_t width = 64;

/// The positives of a batch.
void gather_rows(Case& c) {
  const ConstMatrixView items = c.random(c.size.items, width);
  const BatchView batch = c.batch();
  const MatrixView y = c.matrix(c.size.batch, width);
  const auto rows = static_cast<double>(c.size.batch);
  c.time({.bytes = rows * (8.0 * width + 4.0), .operations = 0},
         [=, &backend = c.backend, state = c.state()] {
           backend.gather_rows(items, batch.positives, state, y);
         });
}

/// The values of a graph, permuted.
void gather_values(Case& c) {
  const std::int64_t entries = c.size.pairs;
  const ConstMatrixView values = c.random(entries, 1);
  const IndexView index = c.random_permutation(entries);
  const MatrixView y = c.matrix(entries, 1);
  c.time({.bytes = 12.0 * static_cast<double>(entries), .operations = 0},
         [=, &backend = c.backend] { backend.gather_rows(values, index, nullptr, y); });
}

/// The gradient of the items, written whole.
void gather_rows_backward(Case& c) {
  const Size& size = c.size;
  const ConstMatrixView dy = c.random(size.batch, width);
  const MatrixView dx = c.matrix(size.items, width);
  const BatchOrderView order = c.batch_order(c.batch());
  const auto read = static_cast<double>(size.batch * width);
  c.time({.bytes = 4 * (read + static_cast<double>(dx.size())) + 24.0 * static_cast<double>(size.batch),
          .operations = read},
         [=, &backend = c.backend, state = c.state(), users = size.users] {
           backend.gather_rows_backward(dy, order, BatchRole::positive, users, state, dx);
         });
}

const Operator rows("gather_rows", growing_batch(1'000'000),
                    {{"gather_rows", gather_rows},
                     {"gather_rows:values of a graph", gather_values},
                     {"gather_rows_backward", gather_rows_backward}});

}  // namespace

}  // namespace sea::bench
