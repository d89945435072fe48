#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// Users' representations of two modalities, 64 wide each.
struct Inputs {
  explicit Inputs(Case& c)
      : x(c.random(c.size.users, 128)), weight(c.random(c.size.users, 2)), y(c.matrix(c.size.users, 128)) {}
  double rows() const { return static_cast<double>(x.rows); }
  MatrixView x, weight, y;
};

void modality_weight(Case& c) {
  const Inputs in(c);
  c.time({.bytes = 4 * in.rows() * (2 * 128 + 2), .operations = in.rows() * 128},
         [=, &backend = c.backend] { backend.modality_weight(in.x, in.weight, in.y); });
}

void modality_weight_backward(Case& c) {
  const Inputs in(c);
  const ConstMatrixView dy = c.random(in.x.rows, 128);
  const MatrixView dweight = c.matrix(in.x.rows, 2);
  c.time({.bytes = 4 * in.rows() * (3 * 128 + 4), .operations = in.rows() * 3 * 128},
         [=, &backend = c.backend] { backend.modality_weight_backward(in.x, in.weight, dy, in.y, dweight); });
}

const Operator rows("modality_weight", growing_items(100'000),
                    {{"modality_weight", modality_weight},
                     {"modality_weight_backward", modality_weight_backward}});

}  // namespace

}  // namespace sea::bench
