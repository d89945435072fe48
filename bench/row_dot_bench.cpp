#include "support/bench.hpp"

namespace sea::bench {

namespace {

constexpr std::int64_t width = 64, blocks = 4;

/// PAMD's users against the four parts of their items.
void row_dot(Case& c) {
  const ConstMatrixView a = c.random(c.size.batch, width), b = c.random(c.size.batch, blocks * width);
  const MatrixView y = c.matrix(c.size.batch, blocks);
  const auto n = static_cast<double>(c.size.batch);
  c.time({.bytes = 4 * n * (width * (1 + blocks) + blocks), .operations = 2 * n * width * blocks},
         [=, &backend = c.backend] { backend.row_dot(a, b, y); });
}

void row_dot_backward(Case& c) {
  const ConstMatrixView a = c.random(c.size.batch, width), b = c.random(c.size.batch, blocks * width),
                        dy = c.random(c.size.batch, blocks);
  const MatrixView da = c.matrix(c.size.batch, width), db = c.matrix(c.size.batch, blocks * width);
  const auto n = static_cast<double>(c.size.batch);
  c.time({.bytes = 4 * n * (2 * width * (1 + blocks) + blocks), .operations = 3 * n * width * blocks},
         [=, &backend = c.backend] { backend.row_dot_backward(a, b, dy, da, db); });
}

const Operator rows("row_dot", growing_batch(100'000),
                    {{"row_dot", row_dot}, {"row_dot_backward", row_dot_backward}});

}  // namespace

}  // namespace sea::bench
