#pragma once

#include "sea/detail/check.hpp"

// What the CPU alone can check, since it can read what lies in device memory.
namespace sea::cpu {

using detail::require;

/// Throws Error where a step state's count is not from `least` to `rows`.
inline void require_count(const char* operator_name, std::int64_t count, std::int64_t least,
                          std::int64_t rows) {
  require(count >= least && count <= rows, operator_name,
          least > 0 ? "the count of the step state must be from 1 to the number of rows"
                    : "the count of the step state must not exceed the number of rows");
}

}  // namespace sea::cpu
