#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/row_blocks.hpp"
#include "sea/backend.hpp"

namespace sea::cpu {

/// y(i, j) = function(32 random bits). Four neighbouring columns of a row share one draw, whose index counts
/// those of a row, row after row: what an element gets does not depend on the leading dimension. Draws are
/// made some at a time, across rows, so that they fill the vector lanes whatever the number of columns.
template <class Function>
void fill_random(ThreadPool& pool, std::uint64_t seed, RandomPurpose purpose, std::int64_t step,
                 std::uint32_t stream, MatrixView y, const Function& function) {
  constexpr std::int64_t together = 32;
  const std::int64_t draws_of_row = blocks_of(y.columns, 4);
  const std::int64_t draws = y.rows * draws_of_row;
  for_each_row(pool, blocks_of(draws, together), 4 * together, [&](std::int64_t group) {
    const std::int64_t first = group * together;
    float values[4][together];
    // A copy: numbers captured by reference would keep the loop from being vectorised.
    const Function convert = function;
#pragma omp simd
    for (std::int64_t g = 0; g < together; ++g) {
      const Philox4x32 bits = random_bits(seed, purpose, step, first + g, stream);
      values[0][g] = convert(bits.word[0]);
      values[1][g] = convert(bits.word[1]);
      values[2][g] = convert(bits.word[2]);
      values[3][g] = convert(bits.word[3]);
    }
    const std::int64_t count = std::min(together, draws - first);
    std::int64_t row = first / draws_of_row, column = 4 * (first % draws_of_row);
    for (std::int64_t g = 0; g < count; ++g) {
      float* out = y.row(row) + column;
      if (column + 4 <= y.columns) {
        for (int k = 0; k < 4; ++k) out[k] = values[k][g];
      } else {
        for (int k = 0; column + k < y.columns; ++k) out[k] = values[k][g];
      }
      column += 4;
      if (column >= y.columns) {
        column = 0;
        ++row;
      }
    }
  });
}

}  // namespace sea::cpu
