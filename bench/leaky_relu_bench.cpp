#include "support/bench.hpp"

namespace sea::bench {

namespace {

// The tower's hidden layer: items x 256.
constexpr std::int64_t width = 256;

void leaky_relu(Case& c) {
  const ConstMatrixView x = c.random(c.size.items, width);
  const MatrixView y = c.matrix(c.size.items, width);
  const auto n = static_cast<double>(x.size());
  c.time({.bytes = 4 * 2 * n, .operations = n},
         [=, &backend = c.backend] { backend.leaky_relu(x, 0.01f, y); });
}

void leaky_relu_backward(Case& c) {
  const ConstMatrixView y = c.random(c.size.items, width), dy = c.random(c.size.items, width);
  const MatrixView dx = c.matrix(c.size.items, width);
  const auto n = static_cast<double>(y.size());
  c.time({.bytes = 4 * 3 * n, .operations = n},
         [=, &backend = c.backend] { backend.leaky_relu_backward(y, dy, 0.01f, dx); });
}

const Operator rows("leaky_relu", growing_items(1'000'000),
                    {{"leaky_relu", leaky_relu}, {"leaky_relu_backward", leaky_relu_backward}});

}  // namespace

}  // namespace sea::bench
