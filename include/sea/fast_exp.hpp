#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "sea/philox.hpp"

namespace sea {

namespace detail {

SEA_HOST_DEVICE inline std::uint32_t float_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

SEA_HOST_DEVICE inline float float_of_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// e^x = 2^k (1 + fraction), |fraction| < 0.42; `exponent` is k moved to the place of a float's exponent.
struct ExponentialParts {
  float fraction;
  std::uint32_t exponent;
};

SEA_HOST_DEVICE inline ExponentialParts exponential_parts(float x) {
  // Adding 1.5 * 2^23 rounds to an integer, which then lies in the sum's lowest bits.
  constexpr float rounder = 0x1.8p23f;
  const float shifted = x * 0x1.715476p0f + rounder;
  const float k = shifted - rounder;
  // ln 2 in two parts; k times the first is exact.
  const float f = (x - k * 0x1.62e4p-1f) - k * 0x1.7f7d1cp-20f;
  // e^f - 1 = f + f^2 r(f) on |f| <= ln(2) / 2, minimax in relative error of e^f: 3e-9 before rounding.
  float r = 0x1.6a2352p-10f;
  r = r * f + 0x1.123a6cp-7f;
  r = r * f + 0x1.5558f4p-5f;
  r = r * f + 0x1.55549p-3f;
  r = r * f + 0x1.fffffcp-2f;
  return {f + f * f * r, float_bits(shifted) << 23};
}

}  // namespace detail

/// e^x for x <= 88, without a branch, so that a loop of it vectorises: relative error below 2e-7, and 0 below
/// -87.33, where the result would be subnormal. fast_exp(0) is 1; NaN stays NaN.
SEA_HOST_DEVICE inline float fast_exp(float x) {
  const detail::ExponentialParts parts = detail::exponential_parts(x);
  const float scaled = detail::float_of_bits(detail::float_bits(1.0f + parts.fraction) + parts.exponent);
  // A GPU's NaN has all its bits set, and the sum above makes a number of them.
  return x < -87.336f ? 0.0f : x != x ? x : scaled;
}

/// tanh(x) likewise, for all x: relative error below 3e-7, near 0 too.
SEA_HOST_DEVICE inline float fast_tanh(float x) {
  // tanh |x| = -m / (2 + m) with m = e^(-2|x|) - 1 = 2^k fraction + (2^k - 1), where nothing cancels. Beyond
  // 10 the result is 1 in float.
  const float magnitude = std::fabs(x);
  const detail::ExponentialParts parts =
      detail::exponential_parts(-2.0f * (magnitude > 10.0f ? 10.0f : magnitude));
  const float scale = detail::float_of_bits(detail::float_bits(1.0f) + parts.exponent);
  const float m = scale * parts.fraction + (scale - 1.0f);
  return std::copysign(-m / (2.0f + m), x);
}

/// 1 / (1 + e^-x) likewise, for all x: relative error below 2e-7, and 0 below -87.33.
SEA_HOST_DEVICE inline float fast_sigmoid(float x) {
  const float e = fast_exp(-std::fabs(x));
  return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

/// log(x) for positive, finite x that is not subnormal, without a branch: relative error below 1e-7, near 1
/// too.
SEA_HOST_DEVICE inline float fast_log(float x) {
  // x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2).
  constexpr std::uint32_t root_of_half = 0x3f3504f3u;
  const std::uint32_t shifted = detail::float_bits(x) - root_of_half;
  const auto k = static_cast<float>(static_cast<std::int32_t>(shifted) >> 23);
  const float f = detail::float_of_bits((shifted & 0x7fffffu) + root_of_half) - 1.0f;
  // log(1 + f) = 2 atanh(s) with s = f / (2 + f), by its series, written as f less a small part: f is exact.
  const float s = f / (2.0f + f);
  const float z = s * s;
  const float r = z * (0x1.555556p-1f + z * (0x1.99999ap-2f + z * (0x1.24924ap-2f + z * 0x1.c71c72p-3f)));
  // ln 2 in two parts; k times the first is exact.
  return k * 0x1.62e4p-1f + (f - (s * (f - r) - k * 0x1.7f7d1cp-20f));
}

}  // namespace sea
