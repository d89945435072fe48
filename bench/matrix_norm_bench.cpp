#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A table of all users; 2 wide: their weights of two modalities.
template <std::int64_t width>
void matrix_norm(Case& c) {
  const ConstMatrixView x = c.random(c.size.users, width);
  const MatrixView dx = c.matrix(c.size.users, width);
  const Workspace workspace = c.workspace(c.backend.matrix_norm_workspace(c.size.users, width));
  float* const loss = c.buffer<float>(1);
  const auto n = static_cast<double>(x.size());
  c.time({.bytes = 4 * 2 * n, .operations = 3 * n}, [=, &backend = c.backend] {
    backend.matrix_norm(x, MatrixNorm::frobenius, 1.0, nullptr, 1.0f, loss, dx, workspace);
  });
}

const Operator rows("matrix_norm", growing_items(100'000),
                    {{"matrix_norm", matrix_norm<64>}, {"matrix_norm:2 wide", matrix_norm<2>}});

}  // namespace

}  // namespace sea::bench
