#pragma once

#include <algorithm>
#include <cstdint>

#include "sea/matrix.hpp"

namespace sea::cpu {

/// Rows of a tall matrix that one block of a reduction takes.
inline constexpr std::int64_t reduction_rows = 512;

/// Each row of `sums` = the sum over `blocks` of the matrices of its shape that lie in `partials` one behind
/// the other, in block order; 0 where there is no block.
inline void sum_partials(const float* partials, std::int64_t blocks, MatrixView sums) {
  const std::int64_t columns = sums.columns;
  for (std::int64_t i = 0; i < sums.rows; ++i) {
    float* row = sums.row(i);
    if (blocks == 0) {
      std::fill_n(row, columns, 0.0f);
      continue;
    }
    std::copy_n(partials + i * columns, columns, row);
    for (std::int64_t block = 1; block < blocks; ++block) {
      const float* part = partials + (block * sums.rows + i) * columns;
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) row[j] += part[j];
    }
  }
}
/// The same of vectors.
inline void sum_partials(const float* partials, std::int64_t blocks, std::int64_t size, float* sums) {
  sum_partials(partials, blocks, MatrixView(sums, 1, size));
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
