#include <algorithm>

#include "cpu/column_sums.hpp"
#include "cpu/gemm.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"

namespace sea {

namespace {

/// A small dW is the sum of what blocks of rows give. Of a large one the blocks would need many times its
/// memory: there a block is some of its columns, over all rows.
bool is_large(std::int64_t in, std::int64_t out) {
  return in * out >= std::int64_t{1} << 20;
}
constexpr std::int64_t block_columns = 512;

}  // namespace

void CpuBackend::linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias, MatrixView y) {
  const std::int64_t n = x.rows, in = x.columns, out = weight.rows;
  checks::linear(x, weight, bias, y);
  pool_->parallel_for(cpu::blocks_of(n, cpu::reduction_rows), [&](std::int64_t block, int) {
    const std::int64_t first = block * cpu::reduction_rows, rows = std::min(cpu::reduction_rows, n - first);
    for (std::int64_t i = first; i < first + rows; ++i) std::copy_n(bias.data(), out, y.row(i));
    cpu::gemm(Transpose::no, Transpose::yes, rows, out, in, 1.0f, x.row(first), x.leading_dimension,
              weight.data, weight.leading_dimension, 1.0f, y.row(first), y.leading_dimension);
  });
}

std::size_t CpuBackend::linear_backward_workspace(std::int64_t n, std::int64_t in, std::int64_t out) const {
  return cpu::scratch_bytes<float>(cpu::blocks_of(n, cpu::reduction_rows) * out *
                                   ((is_large(in, out) ? 0 : in) + 1));
}

void CpuBackend::linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy, MatrixView dx,
                                 MatrixView dweight, VectorView dbias, Workspace workspace) {
  const std::int64_t n = x.rows, in = x.columns, out = weight.rows;
  checks::linear_backward(x, weight, dy, dx, dweight, dbias);
  // Each block of rows leaves its share of dbias, and of a small dW, behind it; the shares are added in block
  // order.
  const bool by_columns = is_large(in, out);
  const std::int64_t blocks = cpu::blocks_of(n, cpu::reduction_rows);
  cpu::Scratch scratch("linear_backward", workspace);
  float* bias_partials = scratch.take<float>(blocks * out * ((by_columns ? 0 : in) + 1));
  float* partials = bias_partials + blocks * out;
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t first = block * cpu::reduction_rows, rows = std::min(cpu::reduction_rows, n - first);
    cpu::sum_rows(dy.row(first), dy.leading_dimension, rows, out, bias_partials + block * out);
    if (!by_columns) {
      cpu::gemm(Transpose::yes, Transpose::no, out, in, rows, 1.0f, dy.row(first), dy.leading_dimension,
                x.row(first), x.leading_dimension, 0.0f, partials + block * out * in, in);
    }
    if (dx.empty()) return;
    cpu::gemm(Transpose::no, Transpose::no, rows, in, out, 1.0f, dy.row(first), dy.leading_dimension,
              weight.data, weight.leading_dimension, 0.0f, dx.row(first), dx.leading_dimension);
  });
  cpu::sum_partials(bias_partials, blocks, out, dbias.data());
  if (!by_columns) {
    cpu::sum_partials(partials, blocks, dweight);
    return;
  }
  pool_->parallel_for(cpu::blocks_of(in, block_columns), [&](std::int64_t block, int) {
    const std::int64_t first = block * block_columns;
    cpu::gemm(Transpose::yes, Transpose::no, out, std::min(block_columns, in - first), n, 1.0f, dy.data,
              dy.leading_dimension, x.data + first, x.leading_dimension, 0.0f, dweight.data + first,
              dweight.leading_dimension);
  });
}

}  // namespace sea
