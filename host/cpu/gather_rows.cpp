#include <algorithm>

#include "cpu/check.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"

namespace sea {

void CpuBackend::gather_rows(ConstMatrixView x, ConstIndexView index, const StepState* state, MatrixView y) {
  const auto size = static_cast<std::int64_t>(index.size());
  const std::int64_t count = state != nullptr ? state->count : size;
  checks::gather_rows(x, index, y);
  cpu::require_count("gather_rows", count, 0, size);
  cpu::require_indices("gather_rows", "index", index, count, x.rows);
  cpu::for_each_row(*pool_, size, x.columns, [&](std::int64_t i) {
    if (i < count) {
      std::copy_n(x.row(index[i]), x.columns, y.row(i));
    } else {
      std::fill_n(y.row(i), y.columns, 0.0f);
    }
  });
}

void CpuBackend::gather_rows_backward(ConstMatrixView dy, const BatchOrderView& order, BatchRole role,
                                      std::int64_t first_node, const StepState* state, MatrixView dx) {
  constexpr const char* name = "gather_rows_backward";
  const std::int64_t batch_size = dy.rows, count = state->count, width = dy.columns;
  checks::gather_rows_backward(dy, order, dx);
  cpu::require_count(name, count, 0, batch_size);
  const std::int64_t first_source = static_cast<std::int64_t>(role) * batch_size;
  const std::int32_t* first = order.nodes.data();
  const std::int32_t* last = first + 3 * count;
  const std::int64_t block_rows = cpu::rows_per_block(width);
  pool_->parallel_for(cpu::blocks_of(dx.rows, block_rows), [&](std::int64_t block, int) {
    const std::int64_t begin = block * block_rows, end = std::min(dx.rows, begin + block_rows);
    const std::int32_t* next = std::lower_bound(first, last, first_node + begin);
    for (std::int64_t r = begin; r < end; ++r) {
      float* out = dx.row(r);
      std::fill_n(out, width, 0.0f);
      for (; next != last && *next == first_node + r; ++next) {
        const std::int64_t place = order.sources[static_cast<std::size_t>(next - first)] - first_source;
        if (place < 0 || place >= batch_size) continue;
        const float* in = dy.row(place);
#pragma omp simd
        for (std::int64_t j = 0; j < width; ++j) out[j] += in[j];
      }
    }
  });
}

}  // namespace sea
