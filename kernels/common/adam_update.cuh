#pragma once

#include "common/cuda.cuh"
#include "sea/detail/adam_step.hpp"

namespace sea::cuda {

using detail::adam_step;
using detail::AdamStep;

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
