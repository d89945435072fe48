#include "common/adam_update.cuh"
#include "common/column_sums.cuh"
#include "common/context.cuh"
#include "common/reduce.cuh"
#include "factored_linear_heads.cuh"
#include "sea/detail/checks/dense.hpp"

// Y = X (C W)^T + C b + bias, and its backward up to dM, the heads' gradients and db; see
// factored_linear_update.cu for the weight.
//
// Floor of the products: forward 2 nnz(C) in + 2 n out in operations, backward as many;
// W, X, M and Y once from memory each. The zero blocks of C are left out: a product for every range of
// columns between two borders of heads, over the rows of C that look there.
//
// Beside the products: one block for each row of C spreads out its head's weights, multiplies them with b
// and clears the row of M that the products are added to. Backward, one block for 32 columns walks over all
// rows of C: dC + dc b^T is written to the heads' gradients, and C^T dc is summed on the way. Both touch
// out x width floats two or three times (6.3 MB each for SEA's 4,096 columns).

namespace sea {

namespace {

using cuda::StackedHeads;

constexpr int block_threads = 256;
using PackShared = float[32];
using GradientShared = cuda::ColumnShared<float, 1>;

/// Row blockIdx.x of C, of C b + bias, and of M.
__global__ void __launch_bounds__(block_threads)
    factored_linear_pack_kernel(const __grid_constant__ StackedHeads heads, const float* bias, MatrixView c,
                                float* constants, MatrixView m) {
  const std::int64_t i = blockIdx.x;
  const StackedHeads::Head& head = heads.of_row(i);
  const float* weight = head.weight.row(i - head.first_row);
  float sum = 0.0f;
  for (std::int64_t j = threadIdx.x; j < c.columns; j += block_threads) {
    const bool looks = head.looks_at(j);
    const float value = looks ? weight[j - head.first_column] : 0.0f;
    if (looks) sum = __fmaf_rn(value, bias[j], sum);
    c(i, j) = value;
  }
  for (std::int64_t j = threadIdx.x; j < m.columns; j += block_threads) m(i, j) = 0.0f;
  sum = cuda::block_sum<block_threads>(sum, cuda::shared_memory<PackShared>());
  if (threadIdx.x == 0) constants[i] = sum + head.bias[i - head.first_row];
}

/// Parallel to the heads.
struct Gradients {
  MatrixView weight[StackedHeads::most];
  float* bias[StackedHeads::most];
};

/// The columns blockIdx.x * 32 ... of dC + dc b^T and of C^T dc; the first block writes dc too.
__global__ void __launch_bounds__(block_threads)
    factored_linear_gradient_kernel(const __grid_constant__ StackedHeads heads, ConstMatrixView dc,
                                    const float* sums, const float* bias,
                                    const __grid_constant__ Gradients gradients, float* dbias) {
  const std::int64_t j = cuda::block_column();
  float total[1] = {};
  for (int r = 0; r < heads.count; ++r) {
    const StackedHeads::Head& head = heads.head[r];
    if (head.looks_at(j)) {
      const MatrixView& gradient = gradients.weight[r];
      const std::int64_t column = j - head.first_column;
      const float seen = bias[j];
#pragma unroll 4
      for (std::int64_t i = threadIdx.y; i < head.weight.rows; i += cuda::column_block_rows) {
        const float sum = sums[head.first_row + i];
        gradient(i, column) = __fmaf_rn(sum, seen, dc(head.first_row + i, j));
        total[0] = __fmaf_rn(sum, head.weight(i, column), total[0]);
      }
    }
    if (blockIdx.x == 0) {
      for (std::int64_t i = threadIdx.y * cuda::column_block_columns + threadIdx.x; i < head.weight.rows;
           i += block_threads) {
        gradients.bias[r][i] = sums[head.first_row + i];
      }
    }
  }
  cuda::add_block_rows(total);
  if (threadIdx.y == 0 && j < heads.width) dbias[j] = total[0];
}

}  // namespace

std::size_t CudaBackend::factored_linear_workspace(std::int64_t n, std::int64_t width, std::int64_t /*in*/,
                                                   std::int64_t out) const {
  return cuda::scratch_bytes<float>(out * width) + cuda::scratch_bytes<float>(out) +
         cuda::scratch_bytes<float>(cuda::column_sums_partials(n, out)) +
         cuda::scratch_bytes<cuda::AdamStep>(1);
}

void CudaBackend::factored_linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                                  std::span<const LinearHead> heads, MatrixView m, MatrixView y,
                                  Workspace workspace) {
  const char* name = "factored_linear";
  const std::int64_t width = weight.rows;
  checks::factored_linear(x, weight, bias, heads, m, y);
  const StackedHeads stacked(heads, width);
  const std::int64_t out = stacked.outputs;
  cuda::Scratch scratch(name, workspace);
  const MatrixView c(scratch.take<float>(out * width), out, width);
  float* constants = scratch.take<float>(out);
  cuda::launch(context_->stream, name, {dim3(cuda::grid_size(out)), dim3(block_threads), sizeof(PackShared)},
               &factored_linear_pack_kernel, stacked, bias.data(), c, constants, m);
  detail::for_each_segment(heads, width, [&](const detail::HeadSegment& segment) {
    if (segment.rows == 0) return;
    context_->blas.gemm(
        name, Transpose::no, Transpose::no, 1.0f,
        c.row_range(segment.first_row, segment.rows).column_range(segment.first_column, segment.columns),
        weight.row_range(segment.first_column, segment.columns), 1.0f,
        m.row_range(segment.first_row, segment.rows));
  });
  context_->blas.gemm_with_bias(name, Transpose::no, Transpose::yes, x, m, constants, y);
}

void CudaBackend::factored_linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                                           std::span<const LinearHead> heads, ConstMatrixView dy,
                                           MatrixView dm, std::span<const LinearHeadGradient> gradients,
                                           VectorView dbias, Workspace workspace) {
  const char* name = "factored_linear_backward";
  const std::int64_t n = x.rows, width = weight.rows;
  checks::factored_linear_backward(x, weight, bias, heads, dy, dm, gradients, dbias);
  const StackedHeads stacked(heads, width);
  const std::int64_t out = stacked.outputs;
  Gradients outputs{};
  for (int r = 0; r < stacked.count; ++r) {
    outputs.weight[r] = gradients[r].weight;
    outputs.bias[r] = gradients[r].bias.data();
  }
  cuda::Scratch scratch(name, workspace);
  const MatrixView dc(scratch.take<float>(out * width), out, width);
  float* sums = scratch.take<float>(out);
  float* partials = scratch.take<float>(cuda::column_sums_partials(n, out));

  context_->blas.gemm_with_sums(name, dy, x, dm, sums, partials);
  detail::for_each_segment(heads, width, [&](const detail::HeadSegment& segment) {
    if (segment.rows == 0) return;
    context_->blas.gemm(
        name, Transpose::no, Transpose::yes, 1.0f, dm.row_range(segment.first_row, segment.rows),
        weight.row_range(segment.first_column, segment.columns), 0.0f,
        dc.row_range(segment.first_row, segment.rows).column_range(segment.first_column, segment.columns));
  });
  cuda::launch(context_->stream, name, cuda::column_grid<GradientShared>(width, 1),
               &factored_linear_gradient_kernel, stacked, dc, sums, bias.data(), outputs, dbias.data());
}

}  // namespace sea
