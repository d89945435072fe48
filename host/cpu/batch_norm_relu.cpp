#include <algorithm>
#include <cmath>

#include "cpu/check.hpp"
#include "cpu/column_sums.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"

namespace sea {

namespace {

/// totals[0 .. 2 columns) = the sum over the blocks of their pairs of column sums, in block order.
void sum_pairs(const double* partials, std::int64_t blocks, std::int64_t columns, double* totals) {
  std::fill_n(totals, 2 * columns, 0.0);
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::int64_t j = 0; j < 2 * columns; ++j) totals[j] += partials[block * 2 * columns + j];
  }
}

}  // namespace

std::size_t CpuBackend::batch_norm_relu_workspace(std::int64_t rows, std::int64_t columns) const {
  return cpu::scratch_bytes<double>((cpu::blocks_of(rows, cpu::reduction_rows) + 1) * 2 * columns);
}

void CpuBackend::batch_norm_relu(ConstMatrixView x, ConstVectorView scale, ConstVectorView shift,
                                 float epsilon, VectorView mean, VectorView inverse_deviation, MatrixView y,
                                 Workspace workspace) {
  const std::int64_t rows = x.rows, columns = x.columns;
  cpu::require_shape("batch_norm_relu", "y", y, rows, columns);
  cpu::require_size("batch_norm_relu", "scale", scale.size(), columns);
  cpu::require_size("batch_norm_relu", "shift", shift.size(), columns);
  cpu::require_size("batch_norm_relu", "mean", mean.size(), columns);
  cpu::require_size("batch_norm_relu", "inverse_deviation", inverse_deviation.size(), columns);
  cpu::require(rows > 0, "batch_norm_relu", "at least one row is needed");

  const std::int64_t blocks = cpu::blocks_of(rows, cpu::reduction_rows);
  cpu::Scratch scratch("batch_norm_relu", workspace);
  double* partials = scratch.take<double>((blocks + 1) * 2 * columns);
  double* totals = partials + blocks * 2 * columns;
  // Sums of float values and squares in double precision lose nothing that a float could hold: one pass will
  // do.
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    double* sums = partials + block * 2 * columns;
    double* squares = sums + columns;
    std::fill_n(sums, 2 * columns, 0.0);
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float* row = x.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const double value = row[j];
        sums[j] += value;
        squares[j] += value * value;
      }
    }
  });
  sum_pairs(partials, blocks, columns, totals);
  for (std::int64_t j = 0; j < columns; ++j) {
    const double average = totals[j] / static_cast<double>(rows);
    const double variance =
        std::max(0.0, totals[columns + j] / static_cast<double>(rows) - average * average);
    mean[j] = static_cast<float>(average);
    inverse_deviation[j] = static_cast<float>(1.0 / std::sqrt(variance + epsilon));
  }
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float* in = x.row(i);
      float* out = y.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const float normal = (in[j] - mean[j]) * inverse_deviation[j];
        out[j] = std::max(0.0f, scale[j] * normal + shift[j]);
      }
    }
  });
}

void CpuBackend::batch_norm_relu_backward(ConstMatrixView x, ConstMatrixView y, ConstMatrixView dy,
                                          ConstVectorView scale, ConstVectorView mean,
                                          ConstVectorView inverse_deviation, MatrixView dx, VectorView dscale,
                                          VectorView dshift, Workspace workspace) {
  const std::int64_t rows = x.rows, columns = x.columns;
  cpu::require_shape("batch_norm_relu_backward", "y", y, rows, columns);
  cpu::require_shape("batch_norm_relu_backward", "dy", dy, rows, columns);
  cpu::require_shape("batch_norm_relu_backward", "dx", dx, rows, columns);
  cpu::require_size("batch_norm_relu_backward", "dscale", dscale.size(), columns);
  cpu::require_size("batch_norm_relu_backward", "dshift", dshift.size(), columns);

  const std::int64_t blocks = cpu::blocks_of(rows, cpu::reduction_rows);
  cpu::Scratch scratch("batch_norm_relu_backward", workspace);
  double* partials = scratch.take<double>((blocks + 1) * 2 * columns);
  double* totals = partials + blocks * 2 * columns;
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    double* shifts = partials + block * 2 * columns;
    double* scales = shifts + columns;
    std::fill_n(shifts, 2 * columns, 0.0);
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float *in = x.row(i), *out = y.row(i), *gradient = dy.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const float passed = out[j] > 0.0f ? gradient[j] : 0.0f;
        const float normal = (in[j] - mean[j]) * inverse_deviation[j];
        shifts[j] += static_cast<double>(passed);
        scales[j] += static_cast<double>(passed) * static_cast<double>(normal);
      }
    }
  });
  sum_pairs(partials, blocks, columns, totals);
  for (std::int64_t j = 0; j < columns; ++j) {
    dshift[j] = static_cast<float>(totals[j]);
    dscale[j] = static_cast<float>(totals[columns + j]);
  }
  const float inverse_rows = 1.0f / static_cast<float>(rows);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float *in = x.row(i), *out = y.row(i), *gradient = dy.row(i);
      float* result = dx.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const float passed = out[j] > 0.0f ? gradient[j] : 0.0f;
        const float normal = (in[j] - mean[j]) * inverse_deviation[j];
        const float centred = passed - inverse_rows * (dshift[j] + normal * dscale[j]);
        result[j] = scale[j] * inverse_deviation[j] * centred;
      }
    }
  });
}

}  // namespace sea
