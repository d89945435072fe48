#pragma once

#include <cstdint>

namespace sea::cpu {

/// The dot product in single precision. The partial sums are written out so that its bits depend neither on
/// the addresses nor on the vector width: lane l sums the elements l, l + 32, ..., then halves are added.
inline float dot(const float* a, const float* b, std::int64_t size) {
  constexpr int lane_count = 32;
  float lanes[lane_count] = {};
  std::int64_t i = 0;
  for (; i + lane_count <= size; i += lane_count) {
    for (int lane = 0; lane < lane_count; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  }
  for (int lane = 0; i + lane < size; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  for (int half = lane_count / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

}  // namespace sea::cpu
