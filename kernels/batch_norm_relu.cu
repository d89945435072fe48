#include <cmath>

#include "common/column_sums.cuh"
#include "common/context.cuh"

// Floor: forward X twice and Y once (it fits in the second-level cache: 1.8 MB each for SEA's head on Baby),
// backward X, Y and dY twice and dX once; ten operations an element, latency counts for more than either.
//
// Two kernels each way. The first leaves sums over chunks of rows, in double precision, so that one pass is
// enough for the variance. In the second every block adds up the chunks' sums of its columns itself, which is
// less than a third launch would take, and goes over its rows.

namespace sea {

namespace {

using cuda::RowChunks;
using Shared = cuda::ColumnShared<double, 2>;

/// A value a column. `mean` and `inverse_deviation` are written by the first blocks of the forward.
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

__global__ void batch_norm_relu_sums_kernel(RowChunks chunks, ConstMatrixView x, double* partials) {
  cuda::chunk_sums<double, 2>(chunks, x.columns, partials,
                              [&](std::int64_t i, std::int64_t j, double(&sums)[2]) {
                                const double value = x(i, j);
                                sums[0] += value;
                                sums[1] = __fma_rn(value, value, sums[1]);
                              });
}

__global__ void batch_norm_relu_kernel(RowChunks chunks, const double* partials, ConstMatrixView x,
                                       ForwardColumns column, float epsilon, MatrixView y) {
  double totals[2];
  cuda::total_sums(chunks, x.columns, partials, totals);
  const std::int64_t j = cuda::block_column();
  if (j >= x.columns) return;
  const auto rows = static_cast<double>(x.rows);
  const double average = totals[0] / rows;
  const double variance = max(0.0, totals[1] / rows - average * average);
  const auto mean = static_cast<float>(average);
  const auto inverse = static_cast<float>(1.0 / sqrt(variance + static_cast<double>(epsilon)));
  if (blockIdx.y == 0 && threadIdx.y == 0) {
    column.mean[j] = mean;
    column.inverse_deviation[j] = inverse;
  }
  const float scale = column.scale[j], shift = column.shift[j];
  const std::int64_t end = min(x.rows, (blockIdx.y + std::int64_t{1}) * chunks.chunk_rows);
  for (std::int64_t i = blockIdx.y * chunks.chunk_rows + threadIdx.y; i < end; i += cuda::column_block_rows) {
    y(i, j) = max(0.0f, __fmaf_rn(scale, (x(i, j) - mean) * inverse, shift));
  }
}

/// X, Y and dY at one place.
struct Element {
  float passed;  ///< dY where the ReLU let through
  float normal;  ///< X, normalised

  __device__ Element(const ConstMatrixView& x, const ConstMatrixView& y, const ConstMatrixView& dy,
                     std::int64_t i, std::int64_t j, float mean, float inverse)
      : passed(y(i, j) > 0.0f ? dy(i, j) : 0.0f), normal((x(i, j) - mean) * inverse) {}
};

__global__ void batch_norm_relu_backward_sums_kernel(RowChunks chunks, ConstMatrixView x, ConstMatrixView y,
                                                     ConstMatrixView dy, BackwardColumns column,
                                                     double* partials) {
  const std::int64_t own = cuda::block_column();
  const float mean = own < x.columns ? column.mean[own] : 0.0f;
  const float inverse = own < x.columns ? column.inverse_deviation[own] : 0.0f;
  cuda::chunk_sums<double, 2>(
      chunks, x.columns, partials, [&](std::int64_t i, std::int64_t j, double(&sums)[2]) {
        const Element at(x, y, dy, i, j, mean, inverse);
        sums[0] += static_cast<double>(at.passed);
        sums[1] = __fma_rn(static_cast<double>(at.passed), static_cast<double>(at.normal), sums[1]);
      });
}

__global__ void batch_norm_relu_backward_kernel(RowChunks chunks, const double* partials, ConstMatrixView x,
                                                ConstMatrixView y, ConstMatrixView dy, BackwardColumns column,
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
    const Element at(x, y, dy, i, j, mean, inverse);
    const float common = __fmaf_rn(at.normal, scale_sum, shift_sum);
    dx(i, j) = factor * __fmaf_rn(-inverse_rows, common, at.passed);
  }
}

}  // namespace

std::size_t CudaBackend::batch_norm_relu_workspace(std::int64_t rows, std::int64_t columns) const {
  return cuda::scratch_bytes<double>(RowChunks(rows).count * 2 * columns);
}

void CudaBackend::batch_norm_relu(ConstMatrixView x, ConstVectorView scale, ConstVectorView shift,
                                  float epsilon, VectorView mean, VectorView inverse_deviation, MatrixView y,
                                  Workspace workspace) {
  const char* name = "batch_norm_relu";
  const std::int64_t rows = x.rows, columns = x.columns;
  cuda::require_shape(name, "y", y, rows, columns);
  cuda::require_size(name, "scale", scale.size(), columns);
  cuda::require_size(name, "shift", shift.size(), columns);
  cuda::require_size(name, "mean", mean.size(), columns);
  cuda::require_size(name, "inverse_deviation", inverse_deviation.size(), columns);
  cuda::require(rows > 0, name, "at least one row is needed");
  const RowChunks chunks(rows);
  const cuda::Grid grid = cuda::column_grid<Shared>(columns, chunks.count);
  double* partials = cuda::Scratch(name, workspace).take<double>(chunks.count * 2 * columns);
  const ForwardColumns column{scale.data(), shift.data(), mean.data(), inverse_deviation.data()};
  cuda::launch(context_->stream, name, grid, &batch_norm_relu_sums_kernel, chunks, x, partials);
  cuda::launch(context_->stream, name, grid, &batch_norm_relu_kernel, chunks, partials, x, column, epsilon,
               y);
}

void CudaBackend::batch_norm_relu_backward(ConstMatrixView x, ConstMatrixView y, ConstMatrixView dy,
                                           ConstVectorView scale, ConstVectorView mean,
                                           ConstVectorView inverse_deviation, MatrixView dx,
                                           VectorView dscale, VectorView dshift, Workspace workspace) {
  const char* name = "batch_norm_relu_backward";
  const std::int64_t rows = x.rows, columns = x.columns;
  cuda::require_shape(name, "y", y, rows, columns);
  cuda::require_shape(name, "dy", dy, rows, columns);
  cuda::require_shape(name, "dx", dx, rows, columns);
  cuda::require_size(name, "scale", scale.size(), columns);
  cuda::require_size(name, "mean", mean.size(), columns);
  cuda::require_size(name, "inverse_deviation", inverse_deviation.size(), columns);
  cuda::require_size(name, "dscale", dscale.size(), columns);
  cuda::require_size(name, "dshift", dshift.size(), columns);
  const RowChunks chunks(rows);
  const cuda::Grid grid = cuda::column_grid<Shared>(columns, chunks.count);
  double* partials = cuda::Scratch(name, workspace).take<double>(chunks.count * 2 * columns);
  const BackwardColumns column{scale.data(), mean.data(), inverse_deviation.data()};
  cuda::launch(context_->stream, name, grid, &batch_norm_relu_backward_sums_kernel, chunks, x, y, dy, column,
               partials);
  cuda::launch(context_->stream, name, grid, &batch_norm_relu_backward_kernel, chunks, partials, x, y, dy,
               column, dx, dscale.data(), dshift.data());
}

}  // namespace sea
