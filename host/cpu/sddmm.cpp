#include <algorithm>

#include "cpu/check.hpp"
#include "cpu/dot.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/graphs.hpp"

namespace sea {

namespace {

constexpr std::int64_t entries_per_block = 1024;
constexpr std::int64_t prefetch_distance = 8;
constexpr std::int64_t line = 64 / sizeof(float);

}  // namespace

void CpuBackend::sddmm(const CsrView& a, ConstMatrixView x, ConstMatrixView y, VectorView products) {
  checks::sddmm(a, x, y);
  const std::int64_t begin = a.row_offsets[0], end = a.row_offsets[a.rows], width = x.columns;
  cpu::require(static_cast<std::int64_t>(products.size()) >= end, "sddmm",
               "there must be a product for every entry of the matrix");
  // Entries, not rows, are shared out: a row may hold most of them.
  pool_->parallel_for(cpu::blocks_of(end - begin, entries_per_block), [&](std::int64_t block, int) {
    std::int64_t entry = begin + block * entries_per_block;
    const std::int64_t block_end = std::min(end, entry + entries_per_block);
    std::int64_t row = std::upper_bound(a.row_offsets, a.row_offsets + a.rows + 1, entry) - a.row_offsets - 1;
    for (; entry < block_end; ++entry) {
      while (entry >= a.row_offsets[row + 1]) ++row;
      if (entry + prefetch_distance < block_end) {
        const float* next = y.row(a.column_indices[entry + prefetch_distance]);
        for (std::int64_t j = 0; j < width; j += line) __builtin_prefetch(next + j);
      }
      const float product = cpu::dot(x.row(row), y.row(a.column_indices[entry]), width);
      products[entry] = a.values != nullptr ? a.values[entry] * product : product;
    }
  });
}

}  // namespace sea
