#include <algorithm>

#include "cpu/column_sums.hpp"
#include "cpu/gemm.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"

namespace sea {

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
  return cpu::scratch_bytes<float>(cpu::blocks_of(n, cpu::reduction_rows) * out * (in + 1));
}

void CpuBackend::linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy, MatrixView dx,
                                 MatrixView dweight, VectorView dbias, Workspace workspace) {
  const std::int64_t n = x.rows, in = x.columns, out = weight.rows;
  checks::linear_backward(x, weight, dy, dx, dweight, dbias);
  // Each block of rows leaves its share of dW and of dbias behind it; the shares are added in block order.
  const std::int64_t blocks = cpu::blocks_of(n, cpu::reduction_rows);
  cpu::Scratch scratch("linear_backward", workspace);
  float* partials = scratch.take<float>(blocks * out * (in + 1));
  float* bias_partials = partials + blocks * out * in;
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t first = block * cpu::reduction_rows, rows = std::min(cpu::reduction_rows, n - first);
    cpu::gemm(Transpose::yes, Transpose::no, out, in, rows, 1.0f, dy.row(first), dy.leading_dimension,
              x.row(first), x.leading_dimension, 0.0f, partials + block * out * in, in);
    cpu::sum_rows(dy.row(first), dy.leading_dimension, rows, out, bias_partials + block * out);
    if (dx.empty()) return;
    cpu::gemm(Transpose::no, Transpose::no, rows, in, out, 1.0f, dy.row(first), dy.leading_dimension,
              weight.data, weight.leading_dimension, 0.0f, dx.row(first), dx.leading_dimension);
  });
  cpu::sum_partials(partials, blocks, dweight);
  cpu::sum_partials(bias_partials, blocks, out, dbias.data());
}

}  // namespace sea
