#include "data/graph.hpp"
#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// The gradient of a propagation with respect to the interaction graph's values, 64 wide.
void sddmm(Case& c) {
  constexpr std::int64_t width = 64;
  const HostCsr graph = interaction_graph(c.interactions());
  const auto entries = static_cast<double>(graph.nonzeros());
  CsrView a = c.upload(graph);
  a.values = nullptr;
  const ConstMatrixView x = c.random(a.rows, width), y = c.random(a.columns, width);
  const VectorView products = c.vector(graph.nonzeros());
  const auto nodes = static_cast<double>(a.rows);
  c.time({.bytes = 8 * entries + 8 * nodes + 4 * 2 * nodes * width, .operations = 2 * entries * width},
         [=, &backend = c.backend] { backend.sddmm(a, x, y, products); });
}

const Operator rows("sddmm", growing_edges(1'000'000), {{"sddmm", sddmm}});

}  // namespace

}  // namespace sea::bench
