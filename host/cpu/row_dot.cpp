#include <algorithm>

#include "cpu/dot.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"

namespace sea {

void CpuBackend::row_dot(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  const std::int64_t width = a.columns, blocks = y.columns;
  checks::row_dot(a, b, y);
  cpu::for_each_row(*pool_, a.rows, b.columns, [&](std::int64_t i) {
    for (std::int64_t block = 0; block < blocks; ++block)
      y(i, block) = cpu::dot(a.row(i), b.row(i) + block * width, width);
  });
}

void CpuBackend::row_dot_backward(ConstMatrixView a, ConstMatrixView b, ConstMatrixView dy, MatrixView da,
                                  MatrixView db) {
  const std::int64_t width = a.columns, blocks = dy.columns;
  checks::row_dot_backward(a, b, dy, da, db);
  cpu::for_each_row(*pool_, a.rows, b.columns, [&](std::int64_t i) {
    const float* from_a = a.row(i);
    if (!da.empty()) std::fill_n(da.row(i), width, 0.0f);
    for (std::int64_t block = 0; block < blocks; ++block) {
      const float upstream = dy(i, block);
      if (!da.empty()) {
        const float* from_b = b.row(i) + block * width;
        float* to_a = da.row(i);
#pragma omp simd
        for (std::int64_t j = 0; j < width; ++j) to_a[j] += upstream * from_b[j];
      }
      if (!db.empty()) {
        float* to_b = db.row(i) + block * width;
#pragma omp simd
        for (std::int64_t j = 0; j < width; ++j) to_b[j] = upstream * from_a[j];
      }
    }
  });
}

}  // namespace sea
