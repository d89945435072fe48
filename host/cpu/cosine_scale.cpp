#include <algorithm>
#include <cmath>

#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"
#include "sea/fixed_dot.hpp"

namespace sea {

namespace {

constexpr double smallest_norm = 1e-8;

}  // namespace

void CpuBackend::cosine_scale(ConstMatrixView x, ConstMatrixView e, MatrixView y) {
  checks::cosine_scale(x, e, y);
  const std::int64_t width = x.columns;
  cpu::for_each_row(*pool_, x.rows, width, [&](std::int64_t i) {
    const float* x_row = x.row(i);
    const float* e_row = e.row(i);
    float* y_row = y.row(i);
    const double x_norm = std::max(std::sqrt(fixed_dot(x_row, x_row, width)), smallest_norm);
    const double e_norm = std::max(std::sqrt(fixed_dot(e_row, e_row, width)), smallest_norm);
    const auto cosine = static_cast<float>(fixed_dot(x_row, e_row, width) / (x_norm * e_norm));
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) y_row[j] = cosine * x_row[j];
  });
}

void CpuBackend::cosine_scale_backward(ConstMatrixView x, ConstMatrixView e, ConstMatrixView dy,
                                       MatrixView dx, MatrixView de) {
  checks::cosine_scale_backward(x, e, dy, dx, de);
  const std::int64_t width = x.columns;
  cpu::for_each_row(*pool_, x.rows, width, [&](std::int64_t i) {
    const float* x_row = x.row(i);
    const float* e_row = e.row(i);
    const float* dy_row = dy.row(i);
    float* dx_row = dx.row(i);
    float* de_row = de.row(i);
    const double x_norm = std::max(std::sqrt(fixed_dot(x_row, x_row, width)), smallest_norm);
    const double e_norm = std::max(std::sqrt(fixed_dot(e_row, e_row, width)), smallest_norm);
    const double cosine = fixed_dot(x_row, e_row, width) / (x_norm * e_norm);
    const double along = fixed_dot(dy_row, x_row, width);
    // A norm at its floor does not move with its row.
    const auto kept = static_cast<float>(cosine);
    const auto across = static_cast<float>(along / (x_norm * e_norm));
    const auto x_inward =
        static_cast<float>(x_norm > smallest_norm ? along * cosine / (x_norm * x_norm) : 0.0);
    const auto e_inward =
        static_cast<float>(e_norm > smallest_norm ? along * cosine / (e_norm * e_norm) : 0.0);
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      dx_row[j] = kept * dy_row[j] + across * e_row[j] - x_inward * x_row[j];
      de_row[j] = across * x_row[j] - e_inward * e_row[j];
    }
  });
}

}  // namespace sea
