#pragma once

#include "sea/fast_exp.hpp"

namespace sea::detail {

/// PAMD's score from its five products, see Backend::rank_attentive.
SEA_HOST_DEVICE inline float attentive_score(float free, float s1, float s2, float s3, float s4) {
  const float upper = s1 > s2 ? s1 : s2, lower = s3 > s4 ? s3 : s4;
  const float largest = upper > lower ? upper : lower;
  const float e1 = fast_exp(s1 - largest), e2 = fast_exp(s2 - largest), e3 = fast_exp(s3 - largest),
              e4 = fast_exp(s4 - largest);
  return free + (e1 * s1 + e2 * s2 + e3 * s3 + e4 * s4) / (e1 + e2 + e3 + e4);
}

}  // namespace sea::detail
