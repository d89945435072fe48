#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// Projections of width 32.
void l2_distance(Case& c) {
  constexpr std::int64_t width = 32;
  const std::int64_t items = c.size.items;
  const ConstMatrixView generic = c.random(items, width), unique = c.random(items, width);
  const MatrixView d_generic = c.matrix(items, width), d_unique = c.matrix(items, width);
  const Workspace workspace = c.workspace(c.backend.l2_distance_workspace(items, width));
  float* const loss = c.buffer<float>(1);
  const auto n = static_cast<double>(generic.size());
  c.time({.bytes = 4 * 4 * n, .operations = 5 * n}, [=, &backend = c.backend] {
    backend.l2_distance(generic, unique, 1.0f, loss, d_generic, d_unique, workspace);
  });
}

const Operator rows("l2_distance", growing_items(1'000'000), {{"l2_distance", l2_distance}});

}  // namespace

}  // namespace sea::bench
