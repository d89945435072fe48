#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// One modality's nodes: users and items, 64 wide.
struct Inputs {
  static constexpr std::int64_t width = 64;
  explicit Inputs(Case& c)
      : nodes(c.size.users + c.size.items),
        x(c.random(nodes, width)),
        y(c.matrix(nodes, width)),
        inverse_norms(c.vector(nodes)) {}
  double rows() const { return static_cast<double>(nodes); }
  std::int64_t nodes;
  MatrixView x, y;
  VectorView inverse_norms;
};

void row_normalize(Case& c) {
  const Inputs in(c);
  c.time({.bytes = 4 * in.rows() * (2 * in.width + 1), .operations = 3 * in.rows() * in.width},
         [=, &backend = c.backend] { backend.row_normalize(in.x, in.y, in.inverse_norms); });
}

void row_normalize_backward(Case& c) {
  const Inputs in(c);
  c.backend.row_normalize(in.x, in.y, in.inverse_norms);
  const ConstMatrixView dy = c.random(in.nodes, in.width);
  const MatrixView dx = c.matrix(in.nodes, in.width);
  c.time({.bytes = 4 * in.rows() * (3 * in.width + 1), .operations = 5 * in.rows() * in.width},
         [=, &backend = c.backend] { backend.row_normalize_backward(in.y, in.inverse_norms, dy, dx); });
}

const Operator rows("row_normalize", growing_items(100'000),
                    {{"row_normalize", row_normalize}, {"row_normalize_backward", row_normalize_backward}});

}  // namespace

}  // namespace sea::bench
