#include "support/bench.hpp"

namespace sea::bench {

namespace {

/// SEA's arena, or the size's elements: users' embeddings and weights, and under two modalities the heads
/// of the item layer, which are 320 outputs on all columns' worth.
std::int64_t count_of(const Size& size) {
  if (size.elements > 0) return size.elements;
  return size.users * (2 * 64 + 2) + 320 * (visual_width + textual_width);
}

struct Inputs {
  explicit Inputs(Case& c)
      : parameters(c.random(count_of(c.size))),
        gradients(c.random(count_of(c.size))),
        first_moment(c.vector(count_of(c.size))),
        second_moment(c.vector(count_of(c.size))) {}
  Work work() const {
    const auto n = static_cast<double>(parameters.size());
    return {.bytes = 4 * 7 * n, .operations = 12 * n};
  }
  VectorView parameters, gradients, first_moment, second_moment;
};

void adam(Case& c) {
  const Inputs in(c);
  c.time(in.work(), [=, &backend = c.backend, state = c.optimizer_state()] {
    backend.adam(in.parameters, in.gradients, in.first_moment, in.second_moment, AdamSettings{}, state);
  });
}

void plain(Case& c) {
  const Inputs in(c);
  c.time(in.work(), c.device.plain_adam(in.parameters, in.gradients, in.first_moment, in.second_moment));
}

const Operator rows("adam", growing_elements(1'000'000), {{"adam", adam}, {"adam", plain, "plain"}});

}  // namespace

}  // namespace sea::bench
