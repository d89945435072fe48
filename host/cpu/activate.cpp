#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"
#include "sea/fast_exp.hpp"

namespace sea {

namespace {

/// y(i, j) = function(x(i, j)).
template <class Function>
void map(ThreadPool& pool, ConstMatrixView x, MatrixView y, const Function& function) {
  cpu::for_each_row(pool, x.rows, x.columns, [&](std::int64_t i) {
    const float* in = x.row(i);
    float* out = y.row(i);
#pragma omp simd
    for (std::int64_t j = 0; j < x.columns; ++j) out[j] = function(in[j]);
  });
}

/// dx(i, j) = dy(i, j) slope(y(i, j)).
template <class Slope>
void map_backward(ThreadPool& pool, ConstMatrixView y, ConstMatrixView dy, MatrixView dx,
                  const Slope& slope) {
  cpu::for_each_row(pool, y.rows, y.columns, [&](std::int64_t i) {
    const float* value = y.row(i);
    const float* in = dy.row(i);
    float* out = dx.row(i);
#pragma omp simd
    for (std::int64_t j = 0; j < y.columns; ++j) out[j] = in[j] * slope(value[j]);
  });
}

}  // namespace

void CpuBackend::activate(Activation activation, ConstMatrixView x, MatrixView y) {
  checks::activate(x, y);
  switch (activation) {
    case Activation::sigmoid:
      return map(*pool_, x, y, [](float value) { return fast_sigmoid(value); });
    case Activation::tanh:
      return map(*pool_, x, y, [](float value) { return fast_tanh(value); });
  }
}

void CpuBackend::activate_backward(Activation activation, ConstMatrixView y, ConstMatrixView dy,
                                   MatrixView dx) {
  checks::activate_backward(y, dy, dx);
  switch (activation) {
    case Activation::sigmoid:
      return map_backward(*pool_, y, dy, dx, [](float value) { return value * (1.0f - value); });
    case Activation::tanh:
      return map_backward(*pool_, y, dy, dx, [](float value) { return 1.0f - value * value; });
  }
}

}  // namespace sea
