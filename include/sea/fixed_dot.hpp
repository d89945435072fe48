#pragma once

#include <cstdint>

#include "sea/philox.hpp"

namespace sea {

/// Partial sums of a fixed-order dot product.
inline constexpr int fixed_dot_lanes = 32;

/// The dot product whose bits are the same on every backend: 32 partial sums in double precision, lane l over
/// the elements l, l + 32, ... in ascending order, then halved five times, lane l taking lane l + half. A
/// product of two floats is exact in double, so that a fused multiply-add changes nothing.
SEA_HOST_DEVICE inline double fixed_dot(const float* a, const float* b, std::int64_t size) {
  double lanes[fixed_dot_lanes] = {};
  std::int64_t i = 0;
  for (; i + fixed_dot_lanes <= size; i += fixed_dot_lanes) {
    for (int lane = 0; lane < fixed_dot_lanes; ++lane) {
      lanes[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  for (int lane = 0; i + lane < size; ++lane) {
    lanes[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
  }
  for (int half = fixed_dot_lanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

}  // namespace sea
