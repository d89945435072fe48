#include "common/column_sums.cuh"
#include "common/context.cuh"
#include "sea/detail/checks/dense.hpp"

// Y = X W^T + bias, one product (common/split_product.cu, or by cuBLAS). Floor: 2 n in out operations; X, W
// and Y once from memory. Backward: two products of as many operations, in one launch where both are small;
// dY's column sums are added up where the first one reads it.

namespace sea {

void CudaBackend::linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias, MatrixView y) {
  checks::linear(x, weight, bias, y);
  context_->blas.gemm_with_bias("linear", Transpose::no, Transpose::yes, x, weight, bias.data(), y);
}

std::size_t CudaBackend::linear_backward_workspace(std::int64_t n, std::int64_t, std::int64_t out) const {
  return cuda::scratch_bytes<float>(cuda::column_sums_partials(n, out));
}

void CudaBackend::linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                  MatrixView dx, MatrixView dweight, VectorView dbias, Workspace workspace) {
  const char* name = "linear_backward";
  const std::int64_t n = x.rows, out = weight.rows;
  checks::linear_backward(x, weight, dy, dx, dweight, dbias);
  float* partials = cuda::Scratch(name, workspace).take<float>(cuda::column_sums_partials(n, out));
  context_->blas.linear_backward(name, x, weight, dy, dx, dweight, dbias.data(), partials);
}

}  // namespace sea
