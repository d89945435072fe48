#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A layer of LayerGCN: all nodes, 64 wide.
struct Inputs {
  static constexpr std::int64_t width = 64;
  explicit Inputs(Case& c)
      : nodes(c.size.users + c.size.items),
        x(c.random(nodes, width)),
        e(c.random(nodes, width)),
        y(c.matrix(nodes, width)) {}
  double rows() const { return static_cast<double>(nodes); }
  std::int64_t nodes;
  MatrixView x, e, y;
};

void cosine_scale(Case& c) {
  const Inputs in(c);
  c.time({.bytes = 4 * in.rows() * 3 * in.width, .operations = 7 * in.rows() * in.width},
         [=, &backend = c.backend] { backend.cosine_scale(in.x, in.e, in.y); });
}

void cosine_scale_backward(Case& c) {
  const Inputs in(c);
  const ConstMatrixView dy = c.random(in.nodes, in.width);
  const MatrixView de = c.matrix(in.nodes, in.width);
  c.time({.bytes = 4 * in.rows() * 5 * in.width, .operations = 16 * in.rows() * in.width},
         [=, &backend = c.backend] { backend.cosine_scale_backward(in.x, in.e, dy, in.y, de); });
}

const Operator rows("cosine_scale", growing_items(100'000),
                    {{"cosine_scale", cosine_scale}, {"cosine_scale_backward", cosine_scale_backward}});

}  // namespace

}  // namespace sea::bench
