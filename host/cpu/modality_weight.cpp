#include "cpu/check.hpp"
#include "cpu/dot.hpp"
#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"

namespace sea {

namespace {

void require_blocks(const char* operator_name, ConstMatrixView x, ConstMatrixView weight) {
  cpu::require(weight.rows == x.rows, operator_name, "weight must have a row for each row of x");
  cpu::require(weight.columns > 0 && x.columns % weight.columns == 0, operator_name,
               "the columns of weight must divide those of x");
}

}  // namespace

void CpuBackend::modality_weight(ConstMatrixView x, ConstMatrixView weight, MatrixView y) {
  require_blocks("modality_weight", x, weight);
  cpu::require_shape("modality_weight", "y", y, x.rows, x.columns);
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
  require_blocks("modality_weight_backward", x, weight);
  cpu::require_shape("modality_weight_backward", "dy", dy, x.rows, x.columns);
  cpu::require_shape("modality_weight_backward", "dx", dx, x.rows, x.columns);
  cpu::require_shape("modality_weight_backward", "dweight", dweight, weight.rows, weight.columns);
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
