#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// CLUB's pairing: all items.
void permutation(Case& c) {
  const IndexView output = c.indices(c.size.items);
  c.time({.bytes = 4.0 * static_cast<double>(c.size.items), .operations = 0},
         [=, &backend = c.backend, state = c.state(), items = c.size.items] {
           backend.permutation(999, RandomPurpose::permutation, state, items, output);
         });
}

const Operator rows("permutation", growing_items(1'000'000), {{"permutation", permutation}});

}  // namespace

}  // namespace sea::bench
