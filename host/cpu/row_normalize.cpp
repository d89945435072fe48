#include <algorithm>
#include <cmath>

#include "cpu/dot.hpp"
#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"
#include "sea/fixed_dot.hpp"

namespace sea {

namespace {

constexpr double smallest_norm = 1e-12;
constexpr auto largest_inverse_norm = static_cast<float>(1.0 / smallest_norm);

}  // namespace

// The norm is a fixed-order sum in double precision and the rest is rounded once per step, so that unit rows,
// and with them the neighbours of a near-tie, are the same bits on every backend.
void CpuBackend::row_normalize(ConstMatrixView x, MatrixView y, VectorView inverse_norms) {
  checks::row_normalize(x, y, inverse_norms);
  cpu::for_each_row(*pool_, x.rows, x.columns, [&](std::int64_t i) {
    const float* x_row = x.row(i);
    float* y_row = y.row(i);
    const double norm = std::sqrt(fixed_dot(x_row, x_row, x.columns));
    const auto inverse = static_cast<float>(1.0 / std::max(norm, smallest_norm));
    inverse_norms[i] = inverse;
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) y_row[j] = x_row[j] * inverse;
  });
}

void CpuBackend::row_normalize_backward(ConstMatrixView y, ConstVectorView inverse_norms, ConstMatrixView dy,
                                        MatrixView dx) {
  checks::row_normalize_backward(y, inverse_norms, dy, dx);
  cpu::for_each_row(*pool_, y.rows, y.columns, [&](std::int64_t i) {
    const float* y_row = y.row(i);
    const float* dy_row = dy.row(i);
    float* dx_row = dx.row(i);
    const float inverse = inverse_norms[i];
    const bool at_floor = inverse == largest_inverse_norm;
    const float along = at_floor ? 0.0f : cpu::dot(y_row, dy_row, y.columns);
#pragma omp simd
    for (std::int64_t j = 0; j < y.columns; ++j) dx_row[j] = (dy_row[j] - y_row[j] * along) * inverse;
  });
}

}  // namespace sea
