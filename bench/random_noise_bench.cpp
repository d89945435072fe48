#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// Noise for every node, 64 wide, and 4 wide, where a row is one draw.
template <Noise noise, std::int64_t width>
void random_noise(Case& c) {
  const MatrixView y = c.matrix(c.size.users + c.size.items, width);
  const auto n = static_cast<double>(y.size());
  c.time({.bytes = 4 * n, .operations = (noise == Noise::gumbel ? 40.0 : 2.0) * n},
         [=, &backend = c.backend, state = c.state()] { backend.random_noise(noise, 999, 0, state, y); });
}

const Operator rows("random_noise", growing_items(100'000),
                    {{"random_noise", random_noise<Noise::uniform, 64>},
                     {"random_noise:gumbel", random_noise<Noise::gumbel, 64>},
                     {"random_noise:gumbel, 4 wide", random_noise<Noise::gumbel, 4>}});

}  // namespace

}  // namespace sea::bench
