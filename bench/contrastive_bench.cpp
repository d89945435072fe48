#include "support/bench.hpp"

namespace sea::bench {

namespace {

constexpr std::int64_t width = 64;
constexpr float temperature = 0.2f;

/// `queries` rows against `keys` rows, row i's positive being key i, or where there are more keys given by
/// index.
struct Inputs {
  Inputs(Case& c, std::int64_t query_count, std::int64_t key_count)
      : queries(c.random_unit_rows(query_count, width)),
        keys(c.random_unit_rows(key_count, width)),
        d_queries(c.matrix(query_count, width)),
        d_keys(c.matrix(key_count, width)),
        loss(c.buffer<float>(1)) {}
  /// Three products a logit: the logits, and either gradient.
  Work work(std::int64_t columns) const {
    const auto n = static_cast<double>(queries.rows), m = static_cast<double>(columns);
    return {.bytes = 4 * 2 * (n + static_cast<double>(keys.rows)) * width, .operations = 6 * n * m * width};
  }
  ConstMatrixView queries, keys;
  MatrixView d_queries, d_keys;
  float* loss;
};

void run(Case& c, const Inputs& in, ConstIndexView positives, bool intra) {
  const std::int64_t n = in.queries.rows, m = in.keys.rows;
  const ContrastiveSettings settings{temperature, intra, true, 0.0f};
  const Workspace workspace = c.workspace(c.backend.contrastive_workspace(n, m, width, intra));
  c.time(in.work(m + (intra ? n : 0)), [=, &backend = c.backend] {
    backend.contrastive(in.queries, in.keys, positives, settings, nullptr, 1.0f, in.loss, in.d_queries,
                        in.d_keys, workspace);
  });
}

/// All items against all items.
void items(Case& c) {
  run(c, {c, c.size.items, c.size.items}, {}, false);
}
void intra(Case& c) {
  run(c, {c, c.size.items, c.size.items}, {}, true);
}
/// A batch's rows against each other.
void batch(Case& c) {
  run(c, {c, c.size.batch, c.size.batch}, {}, false);
}
/// A batch's rows against all items.
void by_index(Case& c) {
  const BatchView drawn = c.batch();
  run(c, {c, c.size.batch, c.size.items}, drawn.positives, false);
}

/// `items` with the logits in memory.
void materialized(Case& c) {
  const Inputs in(c, c.size.items, c.size.items);
  const MatrixView logits = c.matrix(c.size.items, c.size.items);
  const VectorView losses = c.vector(c.size.items);
  const float scale = 1.0f / (temperature * static_cast<float>(c.size.items));
  c.time(in.work(c.size.items), [=, &backend = c.backend, &device = c.device] {
    backend.matmul(Transpose::no, Transpose::yes, 1.0f / temperature, in.queries, in.keys, 0.0f, logits);
    device.softmax_gradient(logits, losses);
    backend.matmul(Transpose::no, Transpose::no, scale, logits, in.keys, 0.0f, in.d_queries);
    backend.matmul(Transpose::yes, Transpose::no, scale, logits, in.queries, 0.0f, in.d_keys);
  });
}

// Quadratic in the items: the growing sizes stop earlier.
const Operator rows("contrastive", growing_items(10'000),
                    {{"contrastive", items},
                     {"contrastive", materialized, "materialized"},
                     {"contrastive:intra", intra},
                     {"contrastive:batch", batch},
                     {"contrastive:by_index", by_index}});

}  // namespace

}  // namespace sea::bench
