#pragma once

#include <cstdint>

namespace sea::cpu {

/// Rows of a tall matrix that one block of a reduction takes.
inline constexpr std::int64_t reduction_rows = 512;

/// sums[j] = the sum over `blocks` of partials[block * columns + j], in block order.
inline void sum_partials(const float* partials, std::int64_t blocks, std::int64_t columns, float* sums) {
  for (std::int64_t j = 0; j < columns; ++j) sums[j] = partials[j];
  for (std::int64_t block = 1; block < blocks; ++block) {
    const float* part = partials + block * columns;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) sums[j] += part[j];
  }
}

/// sums[j] = the sum over `rows` rows of column j, from the top.
inline void sum_rows(const float* matrix, std::int64_t leading_dimension, std::int64_t rows,
                     std::int64_t columns, float* sums) {
  for (std::int64_t j = 0; j < columns; ++j) sums[j] = 0.0f;
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* row = matrix + i * leading_dimension;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) sums[j] += row[j];
  }
}

}  // namespace sea::cpu
