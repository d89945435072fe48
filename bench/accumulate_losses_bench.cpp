#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// Terms of a SEAa step: bpr, align, two distances, 50 of the fit, the total; or the size's elements.
void accumulate_losses(Case& c) {
  const std::int64_t terms = c.size.elements > 0 ? c.size.elements : 55;
  const VectorView values = c.random(terms);
  const ConstVectorView weights = c.random(terms - 1);
  const std::span<double> sums(c.buffer<double>(terms), static_cast<std::size_t>(terms));
  const auto n = static_cast<double>(terms);
  c.time({.bytes = 4 * (2 * n) + 16 * n, .operations = 3 * n},
         [=, &backend = c.backend] { backend.accumulate_losses(values, weights, sums); });
}

const Operator rows("accumulate_losses", growing_elements(1'000'000),
                    {{"accumulate_losses", accumulate_losses}});

}  // namespace

}  // namespace sea::bench
