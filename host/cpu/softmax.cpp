#include <algorithm>
#include <cmath>

#include "cpu/dot.hpp"
#include "cpu/row_blocks.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"
#include "sea/fast_exp.hpp"

namespace sea {

namespace {

/// Partial results, written out as in dot.hpp. Rows that are shorter lie side by side, each in a lane.
constexpr int lane_count = 32;

/// The largest element that is a number; what is none comes back as its own exponential.
float largest_element(const float* row, std::int64_t size, float scale) {
  float lanes[lane_count];
  std::fill_n(lanes, lane_count, -HUGE_VALF);
  const auto take = [&](int lane, float value) { lanes[lane] = value > lanes[lane] ? value : lanes[lane]; };
  std::int64_t i = 0;
  for (; i + lane_count <= size; i += lane_count) {
#pragma omp simd
    for (int lane = 0; lane < lane_count; ++lane) take(lane, scale * row[i + lane]);
  }
  for (int lane = 0; i + lane < size; ++lane) take(lane, scale * row[i + lane]);
  return *std::max_element(lanes, lanes + lane_count);
}

void softmax_row(const float* in, std::int64_t size, float scale, float* out) {
  const float largest = largest_element(in, size, scale);
  float lanes[lane_count] = {};
  std::int64_t i = 0;
  for (; i + lane_count <= size; i += lane_count) {
#pragma omp simd
    for (int lane = 0; lane < lane_count; ++lane) {
      const float value = fast_exp(scale * in[i + lane] - largest);
      out[i + lane] = value;
      lanes[lane] += value;
    }
  }
  for (int lane = 0; i + lane < size; ++lane) {
    const float value = fast_exp(scale * in[i + lane] - largest);
    out[i + lane] = value;
    lanes[lane] += value;
  }
  for (int half = lane_count / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  const float inverse = 1.0f / lanes[0];
#pragma omp simd
  for (std::int64_t j = 0; j < size; ++j) out[j] *= inverse;
}

/// Up to `lane_count` rows of fewer elements than that.
void softmax_short_rows(ConstMatrixView x, float scale, MatrixView y) {
  float values[lane_count][lane_count] = {};  // column, row
  float largest[lane_count], sums[lane_count] = {};
  std::fill_n(largest, lane_count, -HUGE_VALF);
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t j = 0; j < x.columns; ++j) values[j][r] = scale * x(r, j);
  }
  for (std::int64_t j = 0; j < x.columns; ++j) {
#pragma omp simd
    for (int r = 0; r < lane_count; ++r) largest[r] = values[j][r] > largest[r] ? values[j][r] : largest[r];
  }
  for (std::int64_t j = 0; j < x.columns; ++j) {
#pragma omp simd
    for (int r = 0; r < lane_count; ++r) {
      values[j][r] = fast_exp(values[j][r] - largest[r]);
      sums[r] += values[j][r];
    }
  }
  for (std::int64_t j = 0; j < x.columns; ++j) {
#pragma omp simd
    for (int r = 0; r < lane_count; ++r) values[j][r] /= sums[r];
  }
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t j = 0; j < x.columns; ++j) y(r, j) = values[j][r];
  }
}

/// The dot product, without lanes where they would stay empty.
float dot_of_rows(const float* a, const float* b, std::int64_t size) {
  if (size >= lane_count) return cpu::dot(a, b, size);
  float sum = 0.0f;
  for (std::int64_t j = 0; j < size; ++j) sum += a[j] * b[j];
  return sum;
}

}  // namespace

void CpuBackend::softmax(ConstMatrixView x, float scale, MatrixView y) {
  checks::softmax(x, y);
  if (x.columns >= lane_count) {
    cpu::for_each_row(*pool_, x.rows, x.columns,
                      [&](std::int64_t i) { softmax_row(x.row(i), x.columns, scale, y.row(i)); });
    return;
  }
  cpu::for_each_row(*pool_, cpu::blocks_of(x.rows, lane_count), lane_count * x.columns,
                    [&](std::int64_t group) {
                      const std::int64_t first = group * lane_count;
                      const std::int64_t rows = std::min<std::int64_t>(lane_count, x.rows - first);
                      softmax_short_rows(x.row_range(first, rows), scale, y.row_range(first, rows));
                    });
}

void CpuBackend::softmax_backward(ConstMatrixView y, ConstMatrixView dy, float scale, MatrixView dx) {
  checks::softmax_backward(y, dy, dx);
  cpu::for_each_row(*pool_, y.rows, y.columns, [&](std::int64_t i) {
    const float* value = y.row(i);
    const float* in = dy.row(i);
    float* out = dx.row(i);
    const float along = dot_of_rows(value, in, y.columns);
    const float factor = scale;
#pragma omp simd
    for (std::int64_t j = 0; j < y.columns; ++j) out[j] = factor * value[j] * (in[j] - along);
  });
}

}  // namespace sea
