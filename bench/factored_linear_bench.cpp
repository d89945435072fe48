#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// The visual item layer under SEA's heads: head, generic projection, tower, unique projection.
struct Inputs {
  static constexpr std::int64_t d = visual_width, half = d / 2, out = 384;

  explicit Inputs(Case& c) : n(c.size.items), x(c.random(n, d)), weight(c.random(d, d)), bias(c.random(d)) {
    for (const auto& [outputs, width, first] :
         {Head{64, half, 0}, Head{32, half, 0}, Head{256, d, 0}, Head{32, half, half}}) {
      heads.push_back({c.random(outputs, width), c.random(outputs), first});
      gradients.push_back({c.matrix(outputs, width), c.vector(outputs)});
      ones += static_cast<double>(outputs * width);
    }
    m = c.matrix(out, d);
    y = c.matrix(n, out);
    workspace = c.workspace(c.backend.factored_linear_workspace(n, d, d, out));
  }
  /// Work of C W, or of a product of its shape: C has `ones` numbers that are not zero.
  double small() const { return 2 * ones * d; }
  /// Work of X M^T, or of a product of its shape.
  double large() const { return 2.0 * static_cast<double>(n) * out * d; }
  double rows() const { return static_cast<double>(n); }

  struct Head {
    std::int64_t outputs, width, first;
  };
  std::int64_t n;
  MatrixView x, weight, m, y;
  VectorView bias;
  std::vector<LinearHead> heads;
  std::vector<LinearHeadGradient> gradients;
  double ones = 0.0;
  Workspace workspace;
};

constexpr double square = double{Inputs::d} * Inputs::d, wide = double{Inputs::out} * Inputs::d;

void factored_linear(Case& c) {
  const Inputs in(c);
  c.time({.bytes = 4 * (in.rows() * (in.d + in.out) + square + in.ones + wide),
          .operations = in.small() + in.large()},
         [=, &backend = c.backend] {
           backend.factored_linear(in.x, in.weight, in.bias, in.heads, in.m, in.y, in.workspace);
         });
}

/// E = X W^T + b formed, and the heads on it.
void unfactored(Case& c) {
  const Inputs in(c);
  const MatrixView e = c.matrix(in.n, in.d);
  c.time({.bytes = 4 * (in.rows() * (3 * in.d + in.out) + square + in.ones),
          .operations = 2 * in.rows() * (square + in.ones)},
         [=, &backend = c.backend] {
           backend.linear(in.x, in.weight, in.bias, e);
           std::int64_t column = 0;
           for (const LinearHead& head : in.heads) {
             backend.linear(e.column_range(head.first_column, head.weight.columns), head.weight, head.bias,
                            in.y.column_range(column, head.weight.rows));
             column += head.weight.rows;
           }
         });
}

void factored_linear_backward(Case& c) {
  const Inputs in(c);
  const ConstMatrixView dy = c.random(in.n, in.out);
  const VectorView dbias = c.vector(in.d);
  c.time({.bytes = 4 * (in.rows() * (in.d + in.out) + square + 2 * in.ones + wide),
          .operations = in.small() + in.large()},
         [=, &backend = c.backend] {
           backend.factored_linear_backward(in.x, in.weight, in.bias, in.heads, dy, in.m, in.gradients, dbias,
                                            in.workspace);
         });
}

void factored_linear_weight_gradient(Case& c) {
  const Inputs in(c);
  const ConstMatrixView dm = c.random(in.out, in.d);
  const MatrixView dweight = c.matrix(in.d, in.d);
  c.time({.bytes = 4 * (wide + in.ones + square), .operations = in.small()}, [=, &backend = c.backend] {
    backend.factored_linear_weight_gradient(in.heads, dm, dweight, in.workspace);
  });
}

void factored_linear_update(Case& c) {
  const Inputs in(c);
  const ConstMatrixView dm = c.random(in.out, in.d);
  const MatrixView first = c.matrix(in.d, in.d), second = c.matrix(in.d, in.d);
  c.time({.bytes = 4 * (wide + in.ones + 6 * square), .operations = in.small() + 12 * square},
         [=, &backend = c.backend, state = c.optimizer_state()] {
           backend.factored_linear_update(in.heads, dm, in.weight, first, second, AdamSettings{}, state,
                                          in.workspace);
         });
}

const Operator rows("factored_linear", growing_items(10'000),
                    {{"factored_linear", factored_linear},
                     {"factored_linear", unfactored, "unfactored"},
                     {"factored_linear_backward", factored_linear_backward},
                     {"factored_linear_weight_gradient", factored_linear_weight_gradient},
                     {"factored_linear_update", factored_linear_update}});

}  // namespace

}  // namespace sea::bench
