
#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"

namespace sea {

void CpuBackend::add(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  checks::add(a, b, y);
  cpu::for_each_row(*pool_, a.rows, a.columns, [&](std::int64_t i) {
    const float* a_row = a.row(i);
    const float* b_row = b.row(i);
    float* y_row = y.row(i);
#pragma omp simd
    for (std::int64_t j = 0; j < a.columns; ++j) y_row[j] = a_row[j] + b_row[j];
  });
}

}  // namespace sea
