#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// The tower's second layer: 256 -> 64.
struct Inputs {
  static constexpr std::int64_t in = 256, out = 64;
  explicit Inputs(Case& c)
      : n(c.size.items),
        x(c.random(n, in)),
        weight(c.random(out, in)),
        y(c.matrix(n, out)),
        bias(c.random(out)) {}
  Work work() const {
    const auto rows = static_cast<double>(n);
    return {.bytes = 4 * (rows * (in + out) + in * out), .operations = 2 * rows * in * out};
  }
  std::int64_t n;
  MatrixView x, weight, y;
  VectorView bias;
};

void linear(Case& c) {
  const Inputs in(c);
  c.time(in.work(), [=, &backend = c.backend] { backend.linear(in.x, in.weight, in.bias, in.y); });
}

void library(Case& c) {
  const Inputs in(c);
  c.time(in.work(), c.device.dense_product(in.x, in.weight, in.y));
}

void linear_backward(Case& c) {
  const Inputs in(c);
  const ConstMatrixView dy = c.random(in.n, in.out);
  const MatrixView dx = c.matrix(in.n, in.in), dweight = c.matrix(in.out, in.in);
  const VectorView dbias = c.vector(in.out);
  const Workspace workspace = c.workspace(c.backend.linear_backward_workspace(in.n, in.in, in.out));
  const auto rows = static_cast<double>(in.n);
  c.time({.bytes = 4 * (rows * (2 * in.in + in.out) + 2 * in.in * in.out),
          .operations = 4 * rows * in.in * in.out},
         [=, &backend = c.backend] {
           backend.linear_backward(in.x, in.weight, dy, dx, dweight, dbias, workspace);
         });
}

const Operator rows("linear", growing_items(1'000'000),
                    {{"linear", linear},
                     {"linear", library, "library"},
                     {"linear_backward", linear_backward}});

}  // namespace

}  // namespace sea::bench
