#pragma once

#include <cmath>

#include "sea/backend.hpp"

namespace sea::detail {

/// What one Adam step multiplies with, rounded once from double precision.
struct AdamStep {
  float one_minus_beta1;
  float one_minus_beta2;
  float step_size;            ///< learning rate / (1 - beta1^t)
  float inverse_correction2;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
  float coupled_decay;  ///< times the parameter, added to the gradient
  float kept;           ///< of a parameter, by decoupled decay
};

/// The t-th step, from 1. Two powers in double precision: on a GPU one thread of a block does it for the
/// others.
SEA_HOST_DEVICE inline AdamStep adam_step(const AdamSettings& settings, double learning_rate,
                                          std::int64_t t) {
  const double exponent = static_cast<double>(t);
  return {static_cast<float>(1.0 - settings.beta1),
          static_cast<float>(1.0 - settings.beta2),
          static_cast<float>(learning_rate / (1.0 - std::pow(settings.beta1, exponent))),
          static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(settings.beta2, exponent))),
          static_cast<float>(settings.epsilon),
          settings.decoupled ? 0.0f : static_cast<float>(settings.weight_decay),
          settings.decoupled ? static_cast<float>(1.0 - learning_rate * settings.weight_decay) : 1.0f};
}

}  // namespace sea::detail
