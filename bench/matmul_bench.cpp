#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// All heads of the visual item layer at once: items x 4096 by 4096 x 384.
struct Inputs {
  static constexpr std::int64_t out = 384;
  explicit Inputs(Case& c)
      : a(c.random(c.size.items, visual_width)),
        b(c.random(out, visual_width)),
        product(c.matrix(c.size.items, out)) {}
  Work work() const {
    const auto n = static_cast<double>(a.rows);
    return {.bytes = 4 * (n * (visual_width + out) + visual_width * out),
            .operations = 2 * n * visual_width * out};
  }
  ConstMatrixView a, b;
  MatrixView product;
};

void matmul(Case& c) {
  const Inputs in(c);
  c.time(in.work(), [=, &backend = c.backend] {
    backend.matmul(Transpose::no, Transpose::yes, 1.0f, in.a, in.b, 0.0f, in.product);
  });
}

void library(Case& c) {
  const Inputs in(c);
  c.time(in.work(), c.device.dense_product(in.a, in.b, in.product));
}

const Operator rows("matmul", growing_items(100'000), {{"matmul", matmul}, {"matmul", library, "library"}});

}  // namespace

}  // namespace sea::bench
