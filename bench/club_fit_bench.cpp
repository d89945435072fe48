#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// The fit of a SEAa step: 50 full-batch steps on both modalities' projections.
void club_fit(Case& c) {
  constexpr std::int64_t width = 32, hidden = 8, steps = 50;
  const std::int64_t items = c.size.items;
  const std::vector<PairView> pairs = {{c.random(items, width), c.random(items, width)},
                                       {c.random(items, width), c.random(items, width)}};
  const std::int64_t count = VariationalNetworkView::parameter_count(width, hidden);
  const VectorView parameters = c.random(count), first = c.vector(count), second = c.vector(count),
                   losses = c.vector(steps);
  const Workspace workspace = c.workspace(c.backend.club_fit_workspace(items, width, hidden));
  // The rows could stay on the chip for all steps. A row's step is two products forward and three backward in
  // each half of q.
  const auto n = static_cast<double>(items);
  c.time({.bytes = 4 * 4 * n * width, .operations = steps * 2 * n * (10.0 * 2 * width * hidden + 16 * width)},
         [=, &backend = c.backend, state = c.optimizer_state()] {
           backend.club_fit(pairs, hidden, parameters, first, second, AdamSettings{}, state, losses,
                            workspace);
         });
}

const Operator rows("club_fit", growing_items(1'000'000), {{"club_fit", club_fit}});

}  // namespace

}  // namespace sea::bench
