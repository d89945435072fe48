#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// A batch on embeddings of width 64; both gradients are written whole.
void embedding_norm(Case& c) {
  constexpr std::int64_t width = 64;
  const Size& size = c.size;
  const ConstMatrixView users = c.random(size.users, width), items = c.random(size.items, width);
  const MatrixView d_users = c.matrix(size.users, width), d_items = c.matrix(size.items, width);
  const BatchView batch = c.batch();
  const BatchOrderView order = c.batch_order(batch);
  const Workspace workspace = c.workspace(c.backend.embedding_norm_workspace(size.batch));
  float* const loss = c.buffer<float>(1);
  const auto read = 3.0 * static_cast<double>(size.batch * width);
  const auto written = static_cast<double>((size.users + size.items) * width);
  c.time({.bytes = 4 * (read + written) + 36.0 * static_cast<double>(size.batch), .operations = 3 * read},
         [=, &backend = c.backend, state = c.state()] {
           backend.embedding_norm(users, items, batch, order, state, EmbeddingNorm::norms, 1.0f, loss,
                                  d_users, d_items, workspace);
         });
}

const Operator rows("embedding_norm", growing_batch(1'000'000), {{"embedding_norm", embedding_norm}});

}  // namespace

}  // namespace sea::bench
