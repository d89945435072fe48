#include "support/item_graph.hpp"

namespace sea::bench {

namespace {

void transpose_values(Case& c) {
  const ItemGraph graph(c);
  const VectorView values = c.random(graph.entries), transposed = c.vector(graph.entries);
  c.time({.bytes = 12 * static_cast<double>(graph.entries)}, [=, &backend = c.backend] {
    backend.transpose_values(graph.transpose, graph.permutation, values, transposed);
  });
}

const Operator rows("transpose_values", growing_items(100'000), {{"transpose_values", transpose_values}});

}  // namespace

}  // namespace sea::bench
