#include "cpu/check.hpp"
#include "cpu/dot.hpp"
#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"

namespace sea {

void CpuBackend::modality_weight(ConstMatrixView x, ConstMatrixView weight, MatrixView y) {
  checks::modality_weight(x, weight, y);
  const std::int64_t width = x.columns / weight.columns;
  cpu::for_each_row(*pool_, x.rows, x.columns, [&](std::int64_t i) {
    for (std::int64_t block = 0; block < weight.columns; ++block) {
      const float* x_part = x.row(i) + block * width;
      float* y_part = y.row(i) + block * width;
      const float scale = weight(i, block);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) y_part[j] = scale * x_part[j];
    }
  });
}

void CpuBackend::modality_weight_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                          MatrixView dx, MatrixView dweight) {
  checks::modality_weight_backward(x, weight, dy, dx, dweight);
  const std::int64_t width = x.columns / weight.columns;
  cpu::for_each_row(*pool_, x.rows, x.columns, [&](std::int64_t i) {
    for (std::int64_t block = 0; block < weight.columns; ++block) {
      const float* dy_part = dy.row(i) + block * width;
      float* dx_part = dx.row(i) + block * width;
      const float scale = weight(i, block);
      dweight(i, block) = cpu::dot(dy_part, x.row(i) + block * width, width);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) dx_part[j] = scale * dy_part[j];
    }
  });
}

}  // namespace sea
