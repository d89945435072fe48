#pragma once

#include <cmath>
#include <cstdint>

#include "sea/backend.hpp"

namespace sea::cpu {

/// What one Adam step multiplies with, from double precision. Kingma and Ba, 2015, Algorithm 1.
struct AdamStep {
  float one_minus_beta1;
  float one_minus_beta2;
  float step_size;            ///< learning rate / (1 - beta1^t)
  float inverse_correction2;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
  float coupled_decay;  ///< times the parameter, added to the gradient
  float kept;           ///< of a parameter, by decoupled decay

  /// `t` counts from 1.
  AdamStep(const AdamSettings& settings, double learning_rate, std::int64_t t) {
    const double exponent = static_cast<double>(t);
    one_minus_beta1 = static_cast<float>(1.0 - settings.beta1);
    one_minus_beta2 = static_cast<float>(1.0 - settings.beta2);
    step_size = static_cast<float>(learning_rate / (1.0 - std::pow(settings.beta1, exponent)));
    inverse_correction2 = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(settings.beta2, exponent)));
    epsilon = static_cast<float>(settings.epsilon);
    coupled_decay = settings.decoupled ? 0.0f : static_cast<float>(settings.weight_decay);
    kept = settings.decoupled ? static_cast<float>(1.0 - learning_rate * settings.weight_decay) : 1.0f;
  }
};

/// Adam on `count` parameters, on the calling thread. Every line has one product and one sum at most, so that
/// a fused multiply-add can be formed in one way alone: an element's bits do not depend on where it lies.
inline void adam_update(const AdamStep& adam, float* __restrict parameters, const float* __restrict gradients,
                        float* __restrict first_moment, float* __restrict second_moment, std::int64_t count) {
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
