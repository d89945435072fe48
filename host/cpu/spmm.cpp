#include <algorithm>

#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/graphs.hpp"

namespace sea {

namespace {

// A row's cost is its edges plus one. The costs of all rows, laid end to end, are cut into stretches of this
// length; a stretch is a block of the pool.
constexpr std::int64_t stretch = 2048;
constexpr std::int64_t prefetch_distance = 8;
constexpr std::int64_t line = 64 / sizeof(float);

/// The operands, and where the next edges' rows of X are asked for before they are needed.
struct Product {
  const CsrView& a;
  ConstMatrixView x, residual;
  MatrixView y;

  std::int64_t place(std::int64_t row) const { return a.row_offsets[row] - a.row_offsets[0] + row; }

  /// The first row whose place is `at` or beyond.
  std::int64_t row_from(std::int64_t at) const {
    std::int64_t low = 0, high = a.rows;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      if (place(middle) < at) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /// Columns [first, first + width) of one row of Y. Each element is a sum over the row's edges in their
  /// order, however rows and columns are shared out. Rows of X are asked for up to edge `fetch_end`.
  template <int width>
  void sum_panel(std::int64_t row, std::int64_t first, std::int64_t fetch_end) const {
    float sums[width];
    for (int j = 0; j < width; ++j) sums[j] = 0.0f;
    const std::int64_t end = a.row_offsets[row + 1];
    for (std::int64_t edge = a.row_offsets[row]; edge < end; ++edge) {
      if (edge + prefetch_distance < fetch_end) {
        const float* next = x.row(a.column_indices[edge + prefetch_distance]) + first;
        for (int j = 0; j < width; j += line) __builtin_prefetch(next + j);
      }
      const float value = a.values[edge];
      const float* source = x.row(a.column_indices[edge]) + first;
#pragma omp simd
      for (int j = 0; j < width; ++j) sums[j] += value * source[j];
    }
    store(row, first, width, sums);
  }

  /// The same for fewer columns than a cache line holds.
  void sum_rest(std::int64_t row, std::int64_t first, std::int64_t width) const {
    float sums[line] = {};
    for (std::int64_t edge = a.row_offsets[row]; edge < a.row_offsets[row + 1]; ++edge) {
      const float value = a.values[edge];
      const float* source = x.row(a.column_indices[edge]) + first;
      for (std::int64_t j = 0; j < width; ++j) sums[j] += value * source[j];
    }
    store(row, first, width, sums);
  }

  void store(std::int64_t row, std::int64_t first, std::int64_t width, const float* sums) const {
    float* target = y.row(row) + first;
    if (residual.empty()) {
      for (std::int64_t j = 0; j < width; ++j) target[j] = sums[j];
    } else {
      const float* added = residual.row(row) + first;
      for (std::int64_t j = 0; j < width; ++j) target[j] = sums[j] + added[j];
    }
  }

  void sum_columns(std::int64_t row, std::int64_t first, std::int64_t last, std::int64_t fetch_end) const {
    for (; last - first >= 128; first += 128) sum_panel<128>(row, first, fetch_end);
    if (last - first >= 64) {
      sum_panel<64>(row, first, fetch_end);
      first += 64;
    }
    if (last - first >= 32) {
      sum_panel<32>(row, first, fetch_end);
      first += 32;
    }
    if (last - first >= line) {
      sum_panel<line>(row, first, fetch_end);
      first += line;
    }
    if (first < last) sum_rest(row, first, last - first);
  }

  /// The share of a stretch in a row longer than a stretch: the stretches it covers divide its columns.
  void sum_share(std::int64_t row, std::int64_t block) const {
    const std::int64_t first_block = place(row) / stretch;
    const std::int64_t covered = (place(row + 1) - 1) / stretch - first_block + 1;
    const std::int64_t lines = cpu::blocks_of(x.columns, line);
    const std::int64_t share = block - first_block;
    const std::int64_t first = share * lines / covered * line;
    const std::int64_t last = std::min(x.columns, (share + 1) * lines / covered * line);
    if (first < last) sum_columns(row, first, last, a.row_offsets[row + 1]);
  }

  bool is_long(std::int64_t row) const {
    return place(row + 1) - place(row) > stretch;
  }

  void sum_block(std::int64_t block) const {
    const std::int64_t begin = row_from(block * stretch);
    const std::int64_t end = row_from((block + 1) * stretch);
    if (begin > 0 && is_long(begin - 1)) sum_share(begin - 1, block);
    for (std::int64_t row = begin; row < end; ++row) {
      if (is_long(row)) {
        sum_share(row, block);
      } else {
        sum_columns(row, 0, x.columns, a.row_offsets[end]);
      }
    }
  }
};

}  // namespace

void CpuBackend::spmm(const CsrView& a, ConstMatrixView x, ConstMatrixView residual, MatrixView y) {
  checks::spmm(a, x, residual, y);
  if (y.empty()) return;
  const Product product{a, x, residual, y};
  pool_->parallel_for(cpu::blocks_of(product.place(a.rows), stretch),
                      [&](std::int64_t block, int) { product.sum_block(block); });
}

}  // namespace sea
