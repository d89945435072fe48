#include "support/bench.hpp"

namespace sea::bench {

namespace {

constexpr std::int64_t width = 32;
constexpr float temperature = 0.046f;

struct Inputs {
  explicit Inputs(Case& c)
      : n(c.size.items),
        text(c.random_unit_rows(n, width)),
        visual(c.random_unit_rows(n, width)),
        d_text(c.matrix(n, width)),
        d_visual(c.matrix(n, width)) {}
  /// Three products of 2 n n width: the logits, and either gradient.
  Work work() const {
    const auto rows = static_cast<double>(n);
    return {.bytes = 4 * 4 * rows * width, .operations = 6 * rows * rows * width};
  }
  std::int64_t n;
  ConstMatrixView text, visual;
  MatrixView d_text, d_visual;
};

void align(Case& c, bool symmetric) {
  const Inputs in(c);
  const Workspace workspace = c.workspace(c.backend.contrastive_alignment_workspace(in.n, width, 0));
  float* const loss = c.buffer<float>(1);
  c.time(in.work(), [=, &backend = c.backend] {
    backend.contrastive_alignment(in.text, in.visual, temperature, symmetric, {}, 1.0f, loss, in.d_text,
                                  in.d_visual, workspace);
  });
}

void solosim(Case& c) {
  align(c, false);
}
void infonce(Case& c) {
  align(c, true);
}

/// SoloSim with the items x items logits in memory.
void materialized(Case& c) {
  const Inputs in(c);
  const MatrixView logits = c.matrix(in.n, in.n);
  const VectorView losses = c.vector(in.n);
  const float scale = 1.0f / (temperature * static_cast<float>(in.n));
  c.time(in.work(), [=, &backend = c.backend, &device = c.device] {
    backend.matmul(Transpose::no, Transpose::yes, 1.0f / temperature, in.text, in.visual, 0.0f, logits);
    device.softmax_gradient(logits, losses);
    backend.matmul(Transpose::no, Transpose::no, scale, logits, in.visual, 0.0f, in.d_text);
    backend.matmul(Transpose::yes, Transpose::no, scale, logits, in.text, 0.0f, in.d_visual);
  });
}

// Quadratic in the items: the growing sizes stop earlier.
const Operator rows("contrastive_alignment", growing_items(10'000),
                    {{"contrastive_alignment", solosim},
                     {"contrastive_alignment", materialized, "materialized"},
                     {"contrastive_alignment:infonce", infonce}});

}  // namespace

}  // namespace sea::bench
