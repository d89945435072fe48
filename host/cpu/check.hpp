#pragma once

#include <cstdint>
#include <string>

#include "sea/backend.hpp"
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

/// Throws Error where one of the first `count` indices is not from 0 to `bound` - 1.
inline void require_indices(const char* operator_name, const char* argument, ConstIndexView indices,
                            std::int64_t count, std::int64_t bound) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t index = indices[static_cast<std::size_t>(i)];
    if (index >= 0 && index < bound) continue;
    throw Error(std::string(operator_name) + ": " + argument + "[" + std::to_string(i) + "] is " +
                std::to_string(index) + " and must be from 0 to " + std::to_string(bound - 1));
  }
}

/// Likewise for the users and items that the first `count` triples of a batch name.
inline void require_batch(const char* operator_name, const BatchView& batch, std::int64_t count,
                          std::int64_t users, std::int64_t items) {
  require_indices(operator_name, "users", batch.users, count, users);
  require_indices(operator_name, "positives", batch.positives, count, items);
  require_indices(operator_name, "negatives", batch.negatives, count, items);
}

/// Throws Error where row `row` of a pattern does not ascend within its columns.
inline void require_ascending_row(const char* operator_name, const char* argument,
                                  const CsrPatternView& pattern, std::int64_t row) {
  std::int64_t last = -1;
  for (std::int64_t entry = pattern.row_offsets[row]; entry < pattern.row_offsets[row + 1]; ++entry) {
    const std::int64_t column = pattern.column_indices[entry];
    if (column <= last || column >= pattern.columns) {
      throw Error(std::string(operator_name) + ": row " + std::to_string(row) + " of " + argument +
                  " must ascend, without repetition, from 0 to at most " +
                  std::to_string(pattern.columns - 1));
    }
    last = column;
  }
}

}  // namespace sea::cpu
