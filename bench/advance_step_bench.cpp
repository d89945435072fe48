#include "support/bench.hpp"

namespace sea::bench {

namespace {

void advance_step(Case& c) {
  c.time({.bytes = 2 * sizeof(StepState), .operations = 0},
         [&backend = c.backend, state = c.state(), pairs = c.size.pairs, batch = c.size.batch] {
           backend.advance_step(state, pairs, batch, {});
         });
}

const Operator rows("advance_step", growing_edges(1'000'000), {{"advance_step", advance_step}});

}  // namespace

}  // namespace sea::bench
