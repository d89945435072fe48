#pragma once

#include <numbers>

#include "sea/backend.hpp"

namespace sea::detail {

/// What the sum of natural logarithms of a batch of `count` triples is divided by.
SEA_HOST_DEVICE inline double bpr_divisor(BprSum sum, std::int64_t count) {
  if (sum == BprSum::sum) return 1.0;
  return static_cast<double>(count) * (sum == BprSum::mean_log2 ? std::numbers::ln2 : 1.0);
}

}  // namespace sea::detail
