#include "data/graph.hpp"
#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// Propagation: both modalities side by side over the interaction graph.
struct Inputs {
  static constexpr std::int64_t width = 128;
  explicit Inputs(Case& c) {
    const HostCsr graph = interaction_graph(c.interactions());
    nonzeros = static_cast<double>(graph.nonzeros());
    a = c.upload(graph);
    x = c.random(a.columns, width);
    y = c.matrix(a.rows, width);
  }
  Work work() const {
    const auto rows = static_cast<double>(a.rows);
    return {.bytes = 8 * nonzeros + 8 * rows + 4 * 2 * rows * width, .operations = 2 * nonzeros * width};
  }
  CsrView a;
  MatrixView x, y;
  double nonzeros = 0.0;
};

void spmm(Case& c) {
  const Inputs in(c);
  c.time(in.work(), [=, &backend = c.backend] { backend.spmm(in.a, in.x, {}, in.y); });
}

void library(Case& c) {
  const Inputs in(c);
  c.time(in.work(), c.device.sparse_product(in.a, in.x, in.y));
}

const Operator rows("spmm", growing_edges(1'000'000), {{"spmm", spmm}, {"spmm", library, "library"}});

}  // namespace

}  // namespace sea::bench
