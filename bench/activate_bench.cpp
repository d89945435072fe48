#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A layer on all nodes, 64 wide.
constexpr std::int64_t width = 64;

template <Activation activation>
void activate(Case& c) {
  const std::int64_t nodes = c.size.users + c.size.items;
  const ConstMatrixView x = c.random(nodes, width);
  const MatrixView y = c.matrix(nodes, width);
  const auto n = static_cast<double>(x.size());
  c.time({.bytes = 4 * 2 * n, .operations = 20 * n},
         [=, &backend = c.backend] { backend.activate(activation, x, y); });
}

template <Activation activation>
void activate_backward(Case& c) {
  const std::int64_t nodes = c.size.users + c.size.items;
  const ConstMatrixView y = c.random(nodes, width), dy = c.random(nodes, width);
  const MatrixView dx = c.matrix(nodes, width);
  const auto n = static_cast<double>(y.size());
  c.time({.bytes = 4 * 3 * n, .operations = 3 * n},
         [=, &backend = c.backend] { backend.activate_backward(activation, y, dy, dx); });
}

const Operator rows("activate", growing_items(100'000),
                    {{"activate", activate<Activation::sigmoid>},
                     {"activate:tanh", activate<Activation::tanh>},
                     {"activate_backward", activate_backward<Activation::sigmoid>},
                     {"activate_backward:tanh", activate_backward<Activation::tanh>}});

}  // namespace

}  // namespace sea::bench
