#include "simt/approximate.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

namespace sea::cuda {

namespace {

/// `exact` off by up to `most` units in the last place, as many as `argument` draws; subnormal numbers as
/// zero.
float off_by(float exact, float argument, int most) {
  if (!std::isnormal(exact)) return std::isfinite(exact) ? std::copysign(0.0f, exact) : exact;
  const auto bits = std::bit_cast<std::uint32_t>(argument);
  const std::uint32_t drawn = (bits ^ bits >> 15) * 0x2C1B3C6Du >> 16;
  const int units = static_cast<int>(drawn % (2 * static_cast<unsigned>(most) + 1)) - most;
  const auto moved = std::bit_cast<float>(std::bit_cast<std::int32_t>(exact) + units);
  return std::isnormal(moved) ? moved : exact;
}

}  // namespace

float exp2_approx(float x) {
  return off_by(static_cast<float>(std::exp2(static_cast<double>(x))), x, 2);
}

float reciprocal_approx(float x) {
  if (std::fpclassify(x) == FP_SUBNORMAL) x = std::copysign(0.0f, x);
  return off_by(static_cast<float>(1.0 / static_cast<double>(x)), x, 1);
}

}  // namespace sea::cuda
