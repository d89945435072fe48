#include "support/item_graph.hpp"

namespace sea::bench {

namespace {

struct Inputs {
  explicit Inputs(Case& c)
      : graph(c),
        values(graph.pattern.values, static_cast<std::size_t>(graph.entries)),
        inverse_roots(c.vector(graph.items)) {}
  ItemGraph graph;
  ConstVectorView values;
  VectorView inverse_roots;
};

void edge_normalize(Case& c) {
  const Inputs in(c);
  const VectorView normalized = c.vector(in.graph.entries);
  const auto entries = static_cast<double>(in.graph.entries), items = static_cast<double>(in.graph.items);
  c.time({.bytes = 12 * entries + 12 * items, .operations = 3 * entries}, [=, &backend = c.backend] {
    backend.edge_normalize(in.graph.pattern, in.values, normalized, in.inverse_roots);
  });
}

void edge_normalize_backward(Case& c) {
  const Inputs in(c);
  const VectorView dnormalized = c.random(in.graph.entries), dvalues = c.vector(in.graph.entries);
  const Workspace workspace = c.workspace(c.backend.edge_normalize_workspace(in.graph.items));
  const auto entries = static_cast<double>(in.graph.entries), items = static_cast<double>(in.graph.items);
  c.backend.edge_normalize(in.graph.pattern, in.values, dvalues, in.inverse_roots);
  c.time({.bytes = 24 * entries + 20 * items, .operations = 9 * entries}, [=, &backend = c.backend] {
    backend.edge_normalize_backward(in.graph.pattern, in.graph.transpose, in.graph.permutation, in.values,
                                    in.inverse_roots, dnormalized, dvalues, workspace);
  });
}

const Operator rows("edge_normalize", growing_items(100'000),
                    {{"edge_normalize", edge_normalize},
                     {"edge_normalize_backward", edge_normalize_backward}});

}  // namespace

}  // namespace sea::bench
