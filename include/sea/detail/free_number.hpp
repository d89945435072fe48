#pragma once

#include <cstdint>

#include "sea/host_device.hpp"

namespace sea::detail {

/// How many of the `count` ascending numbers are at most `number`.
SEA_HOST_DEVICE inline std::int64_t count_up_to(const std::int32_t* numbers, std::int64_t count,
                                                std::int64_t number) {
  std::int64_t low = 0, high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (numbers[middle] <= number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// Whether `number` is one of the `count` ascending numbers.
SEA_HOST_DEVICE inline bool contains(const std::int32_t* numbers, std::int64_t count, std::int64_t number) {
  const std::int64_t up_to = count_up_to(numbers, count, number);
  return up_to > 0 && numbers[up_to - 1] == number;
}

/// The r-th number, from 0, that is none of the `count` ascending and distinct ones of `taken`, none of them
/// negative: below taken[i] there are taken[i] - i others.
SEA_HOST_DEVICE inline std::int64_t free_number(const std::int32_t* taken, std::int64_t count,
                                                std::int64_t r) {
  std::int64_t low = 0, high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (taken[middle] - middle <= r) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return r + low;
}

}  // namespace sea::detail
