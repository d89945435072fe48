#include "support/bench.hpp"

namespace sea::bench {

namespace {

struct Shape {
  std::int64_t rows, columns;
};

/// The weights of two modalities of every node.
Shape modalities(const Size& size) {
  return {size.users + size.items, 2};
}
/// The representations of every node.
Shape nodes(const Size& size) {
  return {size.users + size.items, 64};
}
/// The items' scores of an eighth of a batch.
Shape scores(const Size& size) {
  return {size.batch / 8, size.items};
}

template <Shape (*shape)(const Size&)>
void softmax(Case& c) {
  const auto [n, width] = shape(c.size);
  const ConstMatrixView x = c.random(n, width);
  const MatrixView y = c.matrix(n, width);
  const auto elements = static_cast<double>(x.size());
  c.time({.bytes = 4 * 2 * elements, .operations = 20 * elements},
         [=, &backend = c.backend] { backend.softmax(x, 5.0f, y); });
}

template <Shape (*shape)(const Size&)>
void softmax_backward(Case& c) {
  const auto [n, width] = shape(c.size);
  const ConstMatrixView x = c.random(n, width), dy = c.random(n, width);
  const MatrixView y = c.matrix(n, width), dx = c.matrix(n, width);
  c.backend.softmax(x, 5.0f, y);
  const auto elements = static_cast<double>(x.size());
  c.time({.bytes = 4 * 3 * elements, .operations = 5 * elements},
         [=, &backend = c.backend] { backend.softmax_backward(y, dy, 5.0f, dx); });
}

const Operator rows("softmax", growing_items(100'000),
                    {{"softmax:2 wide", softmax<modalities>},
                     {"softmax", softmax<nodes>},
                     {"softmax:all items", softmax<scores>},
                     {"softmax_backward:2 wide", softmax_backward<modalities>},
                     {"softmax_backward", softmax_backward<nodes>},
                     {"softmax_backward:all items", softmax_backward<scores>}});

}  // namespace

}  // namespace sea::bench
