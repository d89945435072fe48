#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A hidden layer of the alignment head: items x 64.
struct Inputs {
  explicit Inputs(Case& c)
      : x(c.random(c.size.items, 64)),
        y(c.matrix(c.size.items, 64)),
        scale(c.random(64)),
        shift(c.random(64)),
        mean(c.vector(64)),
        inverse_deviation(c.vector(64)),
        workspace(c.workspace(c.backend.batch_norm_workspace(c.size.items, 64))) {}
  void forward(Backend& backend) const {
    backend.batch_norm(x, scale, shift, 1e-5f, true, mean, inverse_deviation, y, workspace);
  }
  MatrixView x, y;
  VectorView scale, shift, mean, inverse_deviation;
  Workspace workspace;
};

void batch_norm(Case& c) {
  const Inputs in(c);
  const auto n = static_cast<double>(in.x.size());
  c.time({.bytes = 4 * 2 * n, .operations = 7 * n}, [=, &backend = c.backend] { in.forward(backend); });
}

void batch_norm_backward(Case& c) {
  const Inputs in(c);
  in.forward(c.backend);
  const ConstMatrixView dy = c.random(c.size.items, 64);
  const MatrixView dx = c.matrix(c.size.items, 64);
  const VectorView dscale = c.vector(64), dshift = c.vector(64);
  const auto n = static_cast<double>(in.x.size());
  c.time({.bytes = 4 * 4 * n, .operations = 10 * n}, [=, &backend = c.backend] {
    backend.batch_norm_backward(in.x, in.y, dy, in.scale, in.mean, in.inverse_deviation, true, dx, dscale,
                                dshift, in.workspace);
  });
}

/// Behind a layer without ReLU.
void batch_norm_double_backward(Case& c) {
  const Inputs in(c);
  in.forward(c.backend);
  const ConstMatrixView dy = c.random(c.size.items, 64), g = c.random(c.size.items, 64);
  const MatrixView ddy = c.matrix(c.size.items, 64), dx = c.matrix(c.size.items, 64);
  const VectorView dscale = c.vector(64);
  const auto n = static_cast<double>(in.x.size());
  c.time({.bytes = 4 * 5 * n, .operations = 25 * n}, [=, &backend = c.backend] {
    backend.batch_norm_double_backward(in.x, dy, g, in.scale, in.mean, in.inverse_deviation, ddy, dx, dscale,
                                       in.workspace);
  });
}

const Operator rows("batch_norm", growing_items(1'000'000),
                    {{"batch_norm", batch_norm},
                     {"batch_norm_backward", batch_norm_backward},
                     {"batch_norm_double_backward", batch_norm_double_backward}});

}  // namespace

}  // namespace sea::bench
