#include <cmath>

#include "common/column_sums.cuh"
#include "common/context.cuh"
#include "sea/detail/checks/dense.hpp"

// Floor: forward X twice and Y once (it fits in the second-level cache: 1.8 MB each for SEA's head on Baby),
// backward X, Y and dY twice and dX once; ten operations per element, latency counts for more than either.
//
// Two kernels each way. The first leaves sums over chunks of rows, in double precision, so that one pass is
// enough for the variance. In the second every block adds up the chunks' sums of its columns itself, which is
// less than a third launch would take, and goes over its rows.

namespace sea {

namespace {

using cuda::RowChunks;
using Shared = cuda::ColumnShared<double, 2>;

/// A value per column. `mean` and `inverse_deviation` are written by the first blocks of the forward.
struct ForwardColumns {
  const float* scale;
  const float* shift;
  float* mean;
  float* inverse_deviation;
};

struct BackwardColumns {
  const float* scale;
  const float* mean;
  const float* inverse_deviation;
};

__global__ void batch_norm_sums_kernel(RowChunks chunks, ConstMatrixView x, double* partials) {
  cuda::chunk_sums<double, 2>(chunks, x.columns, partials,
                              [&](std::int64_t i, std::int64_t j, double(&sums)[2]) {
                                const double value = x(i, j);
                                sums[0] += value;
                                sums[1] = __fma_rn(value, value, sums[1]);
                              });
}

__global__ void batch_norm_kernel(RowChunks chunks, const double* partials, ConstMatrixView x,
                                  ForwardColumns column, float epsilon, bool relu, MatrixView y) {
  double totals[2];
  cuda::total_sums(chunks, x.columns, partials, totals);
  const std::int64_t j = cuda::block_column();
  if (j >= x.columns) return;
  const auto rows = static_cast<double>(x.rows);
  const double average = totals[0] / rows;
  const double rest = totals[1] / rows - average * average;
  const double variance = rest < 0.0 ? 0.0 : rest;  // not max, which would take 0 for what is no number
  const auto mean = static_cast<float>(average);
  const auto inverse = static_cast<float>(1.0 / sqrt(variance + static_cast<double>(epsilon)));
  if (blockIdx.y == 0 && threadIdx.y == 0) {
    column.mean[j] = mean;
    column.inverse_deviation[j] = inverse;
  }
  const float scale = column.scale[j], shift = column.shift[j];
  const std::int64_t end = min(x.rows, (blockIdx.y + std::int64_t{1}) * chunks.chunk_rows);
  for (std::int64_t i = blockIdx.y * chunks.chunk_rows + threadIdx.y; i < end; i += cuda::column_block_rows) {
    const float value = __fmaf_rn(scale, (x(i, j) - mean) * inverse, shift);
    y(i, j) = relu && value <= 0.0f ? 0.0f : value;  // what is no number stays none
  }
}

/// What a ReLU let through: where Y is above 0, or everywhere.
struct Passed {
  ConstMatrixView y;
  bool relu;

  __device__ bool operator()(std::int64_t i, std::int64_t j) const { return !relu || y(i, j) > 0.0f; }
};

/// X, Y and dY at one place.
struct Element {
  float passed;  ///< dY where the ReLU let through
  float normal;  ///< X, normalised

  __device__ Element(const ConstMatrixView& x, const Passed& passes, const ConstMatrixView& dy,
                     std::int64_t i, std::int64_t j, float mean, float inverse)
      : passed(passes(i, j) ? dy(i, j) : 0.0f), normal((x(i, j) - mean) * inverse) {}
};

__global__ void batch_norm_backward_sums_kernel(RowChunks chunks, ConstMatrixView x, Passed passes,
                                                ConstMatrixView dy, BackwardColumns column,
                                                double* partials) {
  const std::int64_t own = cuda::block_column();
  const float mean = own < x.columns ? column.mean[own] : 0.0f;
  const float inverse = own < x.columns ? column.inverse_deviation[own] : 0.0f;
  cuda::chunk_sums<double, 2>(
      chunks, x.columns, partials, [&](std::int64_t i, std::int64_t j, double(&sums)[2]) {
        const Element at(x, passes, dy, i, j, mean, inverse);
        sums[0] += static_cast<double>(at.passed);
        sums[1] = __fma_rn(static_cast<double>(at.passed), static_cast<double>(at.normal), sums[1]);
      });
}

__global__ void batch_norm_backward_kernel(RowChunks chunks, const double* partials, ConstMatrixView x,
                                           Passed passes, ConstMatrixView dy, BackwardColumns column,
                                           MatrixView dx, float* dscale, float* dshift) {
  double totals[2];
  cuda::total_sums(chunks, x.columns, partials, totals);
  const std::int64_t j = cuda::block_column();
  if (j >= x.columns) return;
  const auto shift_sum = static_cast<float>(totals[0]), scale_sum = static_cast<float>(totals[1]);
  if (blockIdx.y == 0 && threadIdx.y == 0) {
    dshift[j] = shift_sum;
    dscale[j] = scale_sum;
  }
  const float mean = column.mean[j], inverse = column.inverse_deviation[j];
  const float factor = column.scale[j] * inverse, inverse_rows = 1.0f / static_cast<float>(x.rows);
  const std::int64_t end = min(x.rows, (blockIdx.y + std::int64_t{1}) * chunks.chunk_rows);
  for (std::int64_t i = blockIdx.y * chunks.chunk_rows + threadIdx.y; i < end; i += cuda::column_block_rows) {
    const Element at(x, passes, dy, i, j, mean, inverse);
    const float common = __fmaf_rn(at.normal, scale_sum, shift_sum);
    dx(i, j) = factor * __fmaf_rn(-inverse_rows, common, at.passed);
  }
}

/// Of each column the sums of G, G H, dY, dY H and G dY: means and the other sums follow from them.
constexpr int double_backward_sums = 5;
using DoubleShared = cuda::ColumnShared<double, double_backward_sums>;

__global__ void batch_norm_double_sums_kernel(RowChunks chunks, ConstMatrixView x, ConstMatrixView dy,
                                              ConstMatrixView g, BackwardColumns column, double* partials) {
  const std::int64_t own = cuda::block_column();
  const float mean = own < x.columns ? column.mean[own] : 0.0f;
  const float inverse = own < x.columns ? column.inverse_deviation[own] : 0.0f;
  cuda::chunk_sums<double, double_backward_sums>(
      chunks, x.columns, partials, [&](std::int64_t i, std::int64_t j, double(&sums)[double_backward_sums]) {
        const double normal = (x(i, j) - mean) * inverse;
        const double of_g = g(i, j), of_dy = dy(i, j);
        sums[0] += of_g;
        sums[1] = __fma_rn(of_g, normal, sums[1]);
        sums[2] += of_dy;
        sums[3] = __fma_rn(of_dy, normal, sums[3]);
        sums[4] = __fma_rn(of_g, of_dy, sums[4]);
      });
}

__global__ void batch_norm_double_kernel(RowChunks chunks, const double* partials, ConstMatrixView x,
                                         ConstMatrixView dy, ConstMatrixView g, BackwardColumns column,
                                         MatrixView ddy, MatrixView dx, float* dscale) {
  double means[double_backward_sums];
  cuda::total_sums(chunks, x.columns, partials, means);
  const std::int64_t j = cuda::block_column();
  if (j >= x.columns) return;
  const auto rows = static_cast<double>(x.rows);
  for (double& mean : means) mean /= rows;
  const double projected = means[4] - means[0] * means[2] - means[1] * means[3];  // mean of G P(dY)
  const float mean = column.mean[j], inverse = column.inverse_deviation[j];
  if (blockIdx.y == 0 && threadIdx.y == 0) {
    dscale[j] = static_cast<float>(static_cast<double>(inverse) * rows * projected);
  }
  // Centred values lose nothing in double precision; what is left is rounded to float at once.
  const double factor = static_cast<double>(column.scale[j]) * static_cast<double>(inverse);
  const double inward = projected - 2.0 * means[1] * means[3];
  const std::int64_t end = min(x.rows, (blockIdx.y + std::int64_t{1}) * chunks.chunk_rows);
  for (std::int64_t i = blockIdx.y * chunks.chunk_rows + threadIdx.y; i < end; i += cuda::column_block_rows) {
    const double normal = (x(i, j) - mean) * inverse;
    const double of_g = static_cast<double>(g(i, j)) - means[0];
    const double of_dy = static_cast<double>(dy(i, j)) - means[2];
    ddy(i, j) = static_cast<float>(factor * (of_g - normal * means[1]));
    const double mixed = of_g * means[3] + of_dy * means[1];
    dx(i, j) = static_cast<float>(-factor * static_cast<double>(inverse) * (mixed + normal * inward));
  }
}

}  // namespace

std::size_t CudaBackend::batch_norm_workspace(std::int64_t rows, std::int64_t columns) const {
  return cuda::scratch_bytes<double>(RowChunks(rows).count * double_backward_sums * columns);
}

void CudaBackend::batch_norm(ConstMatrixView x, ConstVectorView scale, ConstVectorView shift, float epsilon,
                             bool relu, VectorView mean, VectorView inverse_deviation, MatrixView y,
                             Workspace workspace) {
  const char* name = "batch_norm";
  const std::int64_t rows = x.rows, columns = x.columns;
  checks::batch_norm(x, scale, shift, mean, inverse_deviation, y);
  const RowChunks chunks(rows);
  const cuda::Grid grid = cuda::column_grid<Shared>(columns, chunks.count);
  double* partials = cuda::Scratch(name, workspace).take<double>(chunks.count * 2 * columns);
  const ForwardColumns column{scale.data(), shift.data(), mean.data(), inverse_deviation.data()};
  cuda::launch(context_->stream, name, grid, &batch_norm_sums_kernel, chunks, x, partials);
  cuda::launch(context_->stream, name, grid, &batch_norm_kernel, chunks, partials, x, column, epsilon, relu,
               y);
}

void CudaBackend::batch_norm_backward(ConstMatrixView x, ConstMatrixView y, ConstMatrixView dy,
                                      ConstVectorView scale, ConstVectorView mean,
                                      ConstVectorView inverse_deviation, bool relu, MatrixView dx,
                                      VectorView dscale, VectorView dshift, Workspace workspace) {
  const char* name = "batch_norm_backward";
  const std::int64_t rows = x.rows, columns = x.columns;
  checks::batch_norm_backward(x, y, dy, scale, mean, inverse_deviation, relu, dx, dscale, dshift);
  const RowChunks chunks(rows);
  const cuda::Grid grid = cuda::column_grid<Shared>(columns, chunks.count);
  double* partials = cuda::Scratch(name, workspace).take<double>(chunks.count * 2 * columns);
  const BackwardColumns column{scale.data(), mean.data(), inverse_deviation.data()};
  cuda::launch(context_->stream, name, grid, &batch_norm_backward_sums_kernel, chunks, x, Passed{y, relu}, dy,
               column, partials);
  cuda::launch(context_->stream, name, grid, &batch_norm_backward_kernel, chunks, partials, x,
               Passed{y, relu}, dy, column, dx, dscale.data(), dshift.data());
}

void CudaBackend::batch_norm_double_backward(ConstMatrixView x, ConstMatrixView dy, ConstMatrixView g,
                                             ConstVectorView scale, ConstVectorView mean,
                                             ConstVectorView inverse_deviation, MatrixView ddy, MatrixView dx,
                                             VectorView dscale, Workspace workspace) {
  constexpr const char* name = "batch_norm_double_backward";
  const std::int64_t rows = x.rows, columns = x.columns;
  checks::batch_norm_double_backward(x, dy, g, scale, mean, inverse_deviation, ddy, dx, dscale);
  const RowChunks chunks(rows);
  const cuda::Grid grid = cuda::column_grid<DoubleShared>(columns, chunks.count);
  double* partials =
      cuda::Scratch(name, workspace).take<double>(chunks.count * double_backward_sums * columns);
  const BackwardColumns column{scale.data(), mean.data(), inverse_deviation.data()};
  cuda::launch(context_->stream, name, grid, &batch_norm_double_sums_kernel, chunks, x, dy, g, column,
               partials);
  cuda::launch(context_->stream, name, grid, &batch_norm_double_kernel, chunks, partials, x, dy, g, column,
               ddy, dx, dscale.data());
}

}  // namespace sea
