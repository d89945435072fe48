#include "support/bench.hpp"

namespace sea::bench {

namespace {

void decoder_loss(Case& c) {
  const ConstMatrixView cosines = c.random(c.size.batch, 3);
  const MatrixView gradient = c.matrix(c.size.batch, 3);
  float* const loss = c.buffer<float>(1);
  const auto n = static_cast<double>(c.size.batch);
  c.time({.bytes = 24 * n, .operations = 30 * n},
         [=, &backend = c.backend] { backend.decoder_loss(cosines, 0.5f, nullptr, 1.0f, loss, gradient); });
}

const Operator rows("decoder_loss", growing_batch(10'000), {{"decoder_loss", decoder_loss}});

}  // namespace

}  // namespace sea::bench
