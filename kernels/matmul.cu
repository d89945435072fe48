#include "common/context.cuh"

namespace sea {

void CudaBackend::matmul(Transpose transpose_a, Transpose transpose_b, float alpha, ConstMatrixView a,
                         ConstMatrixView b, float beta, MatrixView c) {
  const bool flip_a = transpose_a == Transpose::yes, flip_b = transpose_b == Transpose::yes;
  const std::int64_t k = flip_a ? a.rows : a.columns;
  cuda::require_shape("matmul", "a", a, flip_a ? k : c.rows, flip_a ? c.rows : k);
  cuda::require_shape("matmul", "b", b, flip_b ? c.columns : k, flip_b ? k : c.columns);
  context_->blas.gemm("matmul", transpose_a, transpose_b, alpha, a, b, beta, c);
}

}  // namespace sea
