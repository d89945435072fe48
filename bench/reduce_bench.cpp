#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// `kind` of a batch's rows over all items: MMSSL's gradient penalty, the mean of scores.
template <Reduction kind>
void reduce(Case& c) {
  const std::int64_t rows = kind == Reduction::unit_norm_gap ? c.size.batch : 2 * c.size.batch;
  const std::int64_t columns = kind == Reduction::unit_norm_gap ? c.size.items : 1;
  const ConstMatrixView x = c.random(rows, columns);
  const MatrixView dx = c.matrix(rows, columns);
  const Workspace workspace = c.workspace(c.backend.reduce_workspace(rows, columns));
  float* const loss = c.buffer<float>(1);
  const auto n = static_cast<double>(x.size());
  c.time({.bytes = 8 * n, .operations = 3 * n},
         [=, &backend = c.backend] { backend.reduce(x, kind, nullptr, 1.0f, loss, dx, workspace); });
}

const Operator rows("reduce", growing_items(10'000),
                    {{"reduce", reduce<Reduction::mean>},
                     {"reduce:norm gap", reduce<Reduction::unit_norm_gap>},
                     {"reduce:softplus", reduce<Reduction::softplus>}});

}  // namespace

}  // namespace sea::bench
