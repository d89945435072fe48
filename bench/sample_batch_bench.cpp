#include "support/bench.hpp"

namespace sea::bench {

namespace {

void sample_batch(Case& c) {
  const SamplingView sampling = c.sampling();
  const BatchView batch{c.indices(c.size.batch), c.indices(c.size.batch), c.indices(c.size.batch)};
  // A pair and a candidate read, a triple written; what the search in the history reads is not counted.
  c.time({.bytes = 24.0 * static_cast<double>(c.size.batch), .operations = 0},
         [=, &backend = c.backend, state = c.state()] { backend.sample_batch(sampling, 999, state, batch); });
}

const Operator rows("sample_batch", growing_batch(100'000), {{"sample_batch", sample_batch}});

}  // namespace

}  // namespace sea::bench
