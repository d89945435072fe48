#include <algorithm>

#include "cpu/gemm.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"

namespace sea {

namespace {

/// How a product is cut into blocks of the result, one library call each: by the shape alone, so that the
/// bits do not depend on the number of threads.
struct Tiling {
  std::int64_t rows, columns;
};

Tiling tiling(std::int64_t m, std::int64_t n, std::int64_t k) {
  // Enough blocks for many cores, none so small that packing its operands outweighs the product.
  constexpr std::int64_t wanted_blocks = 32;
  constexpr std::int64_t least_work = std::int64_t{1} << 22;
  Tiling tile{m, n};
  while (cpu::blocks_of(m, tile.rows) * cpu::blocks_of(n, tile.columns) < wanted_blocks) {
    std::int64_t& longer = tile.rows >= tile.columns ? tile.rows : tile.columns;
    const std::int64_t half = (longer / 2 + 15) / 16 * 16;
    if (half < 64 || half >= longer || half * std::min(tile.rows, tile.columns) * k < least_work) break;
    longer = half;
  }
  return tile;
}

}  // namespace

void CpuBackend::matmul(Transpose transpose_a, Transpose transpose_b, float alpha, ConstMatrixView a,
                        ConstMatrixView b, float beta, MatrixView c) {
  const bool flip_a = transpose_a == Transpose::yes, flip_b = transpose_b == Transpose::yes;
  const std::int64_t m = c.rows, n = c.columns, k = flip_a ? a.rows : a.columns;
  checks::matmul(transpose_a, transpose_b, a, b, c);
  if (c.empty()) return;
  const Tiling tile = tiling(m, n, k);
  const std::int64_t tiles_across = cpu::blocks_of(n, tile.columns);
  pool_->parallel_for(cpu::blocks_of(m, tile.rows) * tiles_across, [&](std::int64_t block, int) {
    const std::int64_t row = block / tiles_across * tile.rows, column = block % tiles_across * tile.columns;
    cpu::gemm(transpose_a, transpose_b, std::min(tile.rows, m - row), std::min(tile.columns, n - column), k,
              alpha, flip_a ? a.data + row : a.row(row), a.leading_dimension,
              flip_b ? b.row(column) : b.data + column, b.leading_dimension, beta, c.row(row) + column,
              c.leading_dimension);
  });
}

}  // namespace sea
