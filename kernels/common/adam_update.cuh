#pragma once

#include <cmath>

#include "common/cuda.cuh"
#include "sea/backend.hpp"

namespace sea::cuda {

/// What one Adam step multiplies with, from double precision. Kingma and Ba, 2015, Algorithm 1.
struct AdamStep {
  float one_minus_beta1;
  float one_minus_beta2;
  float step_size;            ///< learning rate / (1 - beta1^t)
  float inverse_correction2;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
  float coupled_decay;  ///< times the parameter, added to the gradient
  float kept;           ///< of a parameter, by decoupled decay
};

/// `t` counts from 1. Two powers in double precision: one thread of a block does it for the others.
__device__ inline AdamStep adam_step(const AdamSettings& settings, double learning_rate, std::int64_t t) {
  const double exponent = static_cast<double>(t);
  return {static_cast<float>(1.0 - settings.beta1),
          static_cast<float>(1.0 - settings.beta2),
          static_cast<float>(learning_rate / (1.0 - pow(settings.beta1, exponent))),
          static_cast<float>(1.0 / sqrt(1.0 - pow(settings.beta2, exponent))),
          static_cast<float>(settings.epsilon),
          settings.decoupled ? 0.0f : static_cast<float>(settings.weight_decay),
          settings.decoupled ? static_cast<float>(1.0 - learning_rate * settings.weight_decay) : 1.0f};
}

/// Adam on one parameter. Roundings are written out, so that every kernel that updates gives the same bits.
__device__ __forceinline__ void adam_update(const AdamStep& adam, float gradient, float& parameter,
                                            float& first_moment, float& second_moment) {
  parameter = __fmul_rn(parameter, adam.kept);
  gradient = __fmaf_rn(adam.coupled_decay, parameter, gradient);
  first_moment = __fmaf_rn(adam.one_minus_beta1, __fsub_rn(gradient, first_moment), first_moment);
  const float change = __fmaf_rn(gradient, gradient, -second_moment);
  second_moment = __fmaf_rn(adam.one_minus_beta2, change, second_moment);
  const float denominator = __fmaf_rn(__fsqrt_rn(second_moment), adam.inverse_correction2, adam.epsilon);
  parameter = __fmaf_rn(-adam.step_size, __fdiv_rn(first_moment, denominator), parameter);
}

}  // namespace sea::cuda
