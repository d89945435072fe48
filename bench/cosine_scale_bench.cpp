#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// Users and items of LayerGCN, 64 wide.
struct Inputs {
  explicit Inputs(Case& c)
      : nodes(c.size.users + c.size.items), x(c.random(nodes, 64)), e(c.random(nodes, 64)) {}
  double elements() const { return static_cast<double>(x.size()); }
  std::int64_t nodes;
  ConstMatrixView x, e;
};

void cosine_scale(Case& c) {
  const Inputs in(c);
  const MatrixView y = c.matrix(in.nodes, 64);
  c.time({.bytes = 4 * 3 * in.elements(), .operations = 7 * in.elements()},
         [=, &backend = c.backend] { backend.cosine_scale(in.x, in.e, y); });
}

void cosine_scale_backward(Case& c) {
  const Inputs in(c);
  const ConstMatrixView dy = c.random(in.nodes, 64);
  const MatrixView dx = c.matrix(in.nodes, 64), de = c.matrix(in.nodes, 64);
  c.time({.bytes = 4 * 5 * in.elements(), .operations = 16 * in.elements()},
         [=, &backend = c.backend] { backend.cosine_scale_backward(in.x, in.e, dy, dx, de); });
}

const Operator rows("cosine_scale", growing_items(100'000),
                    {{"cosine_scale", cosine_scale}, {"cosine_scale_backward", cosine_scale_backward}});

}  // namespace

}  // namespace sea::bench
