#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"

namespace sea {

void CpuBackend::scale(float factor, ConstMatrixView x, MatrixView y) {
  checks::scale(x, y);
  cpu::for_each_row(*pool_, x.rows, x.columns, [&](std::int64_t i) {
    const float* in = x.row(i);
    float* out = y.row(i);
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) out[j] = factor * in[j];
  });
}

}  // namespace sea
