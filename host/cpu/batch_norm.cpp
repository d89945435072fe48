#include <algorithm>
#include <cmath>

#include "cpu/column_sums.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"

namespace sea {

namespace {

/// Sums a column: of batch_norm_double_backward, which has the most.
constexpr std::int64_t most_sums = 5;

/// totals[0 .. size) = the sum over the blocks of their column sums, in block order.
void sum_blocks(const double* partials, std::int64_t blocks, std::int64_t size, double* totals) {
  std::fill_n(totals, size, 0.0);
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::int64_t j = 0; j < size; ++j) totals[j] += partials[block * size + j];
  }
}

}  // namespace

std::size_t CpuBackend::batch_norm_workspace(std::int64_t rows, std::int64_t columns) const {
  return cpu::scratch_bytes<double>((cpu::blocks_of(rows, cpu::reduction_rows) + 1) * most_sums * columns);
}

void CpuBackend::batch_norm(ConstMatrixView x, ConstVectorView scale, ConstVectorView shift, float epsilon,
                            bool relu, VectorView mean, VectorView inverse_deviation, MatrixView y,
                            Workspace workspace) {
  const std::int64_t rows = x.rows, columns = x.columns;
  checks::batch_norm(x, scale, shift, mean, inverse_deviation, y);

  const std::int64_t blocks = cpu::blocks_of(rows, cpu::reduction_rows);
  cpu::Scratch scratch("batch_norm", workspace);
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
  sum_blocks(partials, blocks, 2 * columns, totals);
  for (std::int64_t j = 0; j < columns; ++j) {
    const double average = totals[j] / static_cast<double>(rows);
    const double variance =
        std::max(totals[columns + j] / static_cast<double>(rows) - average * average, 0.0);
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
        const float value = scale[j] * normal + shift[j];
        out[j] = relu && value <= 0.0f ? 0.0f : value;  // what is no number stays none
      }
    }
  });
}

void CpuBackend::batch_norm_backward(ConstMatrixView x, ConstMatrixView y, ConstMatrixView dy,
                                     ConstVectorView scale, ConstVectorView mean,
                                     ConstVectorView inverse_deviation, bool relu, MatrixView dx,
                                     VectorView dscale, VectorView dshift, Workspace workspace) {
  const std::int64_t rows = x.rows, columns = x.columns;
  checks::batch_norm_backward(x, y, dy, scale, mean, inverse_deviation, relu, dx, dscale, dshift);

  const std::int64_t blocks = cpu::blocks_of(rows, cpu::reduction_rows);
  const ConstMatrixView signs = relu ? y : dy;
  cpu::Scratch scratch("batch_norm_backward", workspace);
  double* partials = scratch.take<double>((blocks + 1) * 2 * columns);
  double* totals = partials + blocks * 2 * columns;
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    double* shifts = partials + block * 2 * columns;
    double* scales = shifts + columns;
    std::fill_n(shifts, 2 * columns, 0.0);
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float *in = x.row(i), *out = signs.row(i), *gradient = dy.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const float passed = !relu || out[j] > 0.0f ? gradient[j] : 0.0f;
        const float normal = (in[j] - mean[j]) * inverse_deviation[j];
        shifts[j] += static_cast<double>(passed);
        scales[j] += static_cast<double>(passed) * static_cast<double>(normal);
      }
    }
  });
  sum_blocks(partials, blocks, 2 * columns, totals);
  for (std::int64_t j = 0; j < columns; ++j) {
    dshift[j] = static_cast<float>(totals[j]);
    dscale[j] = static_cast<float>(totals[columns + j]);
  }
  const float inverse_rows = 1.0f / static_cast<float>(rows);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float *in = x.row(i), *out = signs.row(i), *gradient = dy.row(i);
      float* result = dx.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const float passed = !relu || out[j] > 0.0f ? gradient[j] : 0.0f;
        const float normal = (in[j] - mean[j]) * inverse_deviation[j];
        const float centred = passed - inverse_rows * (dshift[j] + normal * dscale[j]);
        result[j] = scale[j] * inverse_deviation[j] * centred;
      }
    }
  });
}

void CpuBackend::batch_norm_double_backward(ConstMatrixView x, ConstMatrixView dy, ConstMatrixView g,
                                            ConstVectorView scale, ConstVectorView mean,
                                            ConstVectorView inverse_deviation, MatrixView ddy, MatrixView dx,
                                            VectorView dscale, Workspace workspace) {
  constexpr const char* name = "batch_norm_double_backward";
  const std::int64_t rows = x.rows, columns = x.columns;
  checks::batch_norm_double_backward(x, dy, g, scale, mean, inverse_deviation, ddy, dx, dscale);

  const std::int64_t blocks = cpu::blocks_of(rows, cpu::reduction_rows);
  double* partials = cpu::Scratch(name, workspace).take<double>((blocks + 1) * most_sums * columns);
  double* totals = partials + blocks * most_sums * columns;
  // Of each column the sums of G, G H, dY, dY H and G dY: means and the other sums follow from them.
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    double* sums = partials + block * most_sums * columns;
    std::fill_n(sums, most_sums * columns, 0.0);
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float *in = x.row(i), *gradient = dy.row(i), *upstream = g.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const double normal = (in[j] - mean[j]) * inverse_deviation[j];
        const double of_g = upstream[j], of_dy = gradient[j];
        sums[j] += of_g;
        sums[columns + j] += of_g * normal;
        sums[2 * columns + j] += of_dy;
        sums[3 * columns + j] += of_dy * normal;
        sums[4 * columns + j] += of_g * of_dy;
      }
    }
  });
  sum_blocks(partials, blocks, most_sums * columns, totals);
  const auto n = static_cast<double>(rows);
  for (std::int64_t j = 0; j < most_sums * columns; ++j) totals[j] /= n;
  const double *g_mean = totals, *gh_mean = totals + columns, *dy_mean = totals + 2 * columns,
               *dyh_mean = totals + 3 * columns, *gdy_mean = totals + 4 * columns;
  const auto projected_mean = [=](std::int64_t j) {  // of G P(dY)
    return gdy_mean[j] - g_mean[j] * dy_mean[j] - gh_mean[j] * dyh_mean[j];
  };
  for (std::int64_t j = 0; j < columns; ++j) {
    dscale[j] = static_cast<float>(inverse_deviation[j] * n * projected_mean(j));
  }
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(rows, (block + 1) * cpu::reduction_rows);
    for (std::int64_t i = block * cpu::reduction_rows; i < end; ++i) {
      const float *in = x.row(i), *gradient = dy.row(i), *upstream = g.row(i);
      float *to_dy = ddy.row(i), *to_x = dx.row(i);
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const double inverse = inverse_deviation[j], factor = scale[j] * inverse;
        const double normal = (in[j] - mean[j]) * inverse_deviation[j];
        const double of_g = upstream[j] - g_mean[j], of_dy = gradient[j] - dy_mean[j];
        to_dy[j] = static_cast<float>(factor * (of_g - normal * gh_mean[j]));
        const double mixed = of_g * dyh_mean[j] + of_dy * gh_mean[j];
        const double inward = projected_mean(j) - 2.0 * gh_mean[j] * dyh_mean[j];
        to_x[j] = static_cast<float>(-factor * inverse * (mixed + normal * inward));
      }
    }
  });
}

}  // namespace sea
