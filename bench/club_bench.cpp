#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// Projections of width 32 under a network of 8 hidden numbers.
void club(Case& c) {
  constexpr std::int64_t width = 32, hidden = 8;
  const std::int64_t items = c.size.items;
  const ConstMatrixView generic = c.random(items, width), unique = c.random(items, width);
  const MatrixView d_generic = c.matrix(items, width), d_unique = c.matrix(items, width);
  const IndexView permutation = c.random_permutation(items);
  const VariationalNetworkView q{width, hidden,
                                 c.random(VariationalNetworkView::parameter_count(width, hidden))};
  const Workspace workspace = c.workspace(c.backend.club_workspace(items, width, hidden));
  float* const loss = c.buffer<float>(1);
  // Both halves of q forward and, to its input, backward: four products each of 2 width hidden a row. A row
  // of `unique` is read for its own and for another's.
  const auto n = static_cast<double>(items);
  c.time({.bytes = n * (4 * 4 * width + 4), .operations = n * (8.0 * 2 * width * hidden + 20 * width)},
         [=, &backend = c.backend] {
           backend.club(generic, unique, permutation, q, 1.0f, loss, d_generic, d_unique, workspace);
         });
}

const Operator rows("club", growing_items(1'000'000), {{"club", club}});

}  // namespace

}  // namespace sea::bench
