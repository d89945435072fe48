#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A batch's rows of BM3, 64 wide.
void cosine_loss(Case& c) {
  constexpr std::int64_t width = 64;
  const std::int64_t batch = c.size.batch;
  const ConstMatrixView x = c.random(batch, width), target = c.random(batch, width);
  const MatrixView dx = c.matrix(batch, width);
  const Workspace workspace = c.workspace(c.backend.cosine_loss_workspace(batch));
  float* const loss = c.buffer<float>(1);
  const auto n = static_cast<double>(x.size());
  c.time({.bytes = 4 * 3 * n, .operations = 9 * n},
         [=, &backend = c.backend] { backend.cosine_loss(x, target, nullptr, 1.0f, loss, dx, workspace); });
}

const Operator rows("cosine_loss", growing_batch(100'000), {{"cosine_loss", cosine_loss}});

}  // namespace

}  // namespace sea::bench
