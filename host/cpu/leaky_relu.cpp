#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"

namespace sea {

void CpuBackend::leaky_relu(ConstMatrixView x, float slope, MatrixView y) {
  checks::leaky_relu(x, y);
  cpu::for_each_row(*pool_, x.rows, x.columns, [&](std::int64_t i) {
    const float* in = x.row(i);
    float* out = y.row(i);
    // A copy: the captured one would keep the loop from being vectorised.
    const float below = slope;
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) out[j] = in[j] > 0.0f ? in[j] : below * in[j];
  });
}

void CpuBackend::leaky_relu_backward(ConstMatrixView y, ConstMatrixView dy, float slope, MatrixView dx) {
  checks::leaky_relu_backward(y, dy, slope, dx);
  cpu::for_each_row(*pool_, y.rows, y.columns, [&](std::int64_t i) {
    const float* value = y.row(i);
    const float* in = dy.row(i);
    float* out = dx.row(i);
    // Likewise.
    const float below = slope;
#pragma omp simd
    for (std::int64_t j = 0; j < y.columns; ++j) out[j] = value[j] > 0.0f ? in[j] : below * in[j];
  });
}

}  // namespace sea
