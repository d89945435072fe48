#pragma once

#include <cmath>
#include <cstdint>

#include "sea/detail/adam_step.hpp"

namespace sea::cpu {

/// Adam on `count` parameters, on the calling thread. Every line has one product and one sum at most, so that
/// a fused multiply-add can be formed in one way alone: an element's bits do not depend on where it lies.
inline void adam_update(const detail::AdamStep& adam, float* __restrict parameters,
                        const float* __restrict gradients, float* __restrict first_moment,
                        float* __restrict second_moment, std::int64_t count) {
  if (adam.kept != 1.0f) {
    for (std::int64_t i = 0; i < count; ++i) parameters[i] *= adam.kept;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float gradient = gradients[i] + adam.coupled_decay * parameters[i];
    const float first = first_moment[i] + adam.one_minus_beta1 * (gradient - first_moment[i]);
    const float change = gradient * gradient - second_moment[i];
    const float second = second_moment[i] + adam.one_minus_beta2 * change;
    const float denominator = std::sqrt(second) * adam.inverse_correction2 + adam.epsilon;
    first_moment[i] = first;
    second_moment[i] = second;
    parameters[i] -= adam.step_size * (first / denominator);
  }
}

}  // namespace sea::cpu
