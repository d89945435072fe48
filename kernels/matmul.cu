#include "common/context.cuh"
#include "sea/detail/checks/dense.hpp"

namespace sea {

void CudaBackend::matmul(Transpose transpose_a, Transpose transpose_b, float alpha, ConstMatrixView a,
                         ConstMatrixView b, float beta, MatrixView c) {
  checks::matmul(transpose_a, transpose_b, a, b, c);
  context_->blas.gemm("matmul", transpose_a, transpose_b, alpha, a, b, beta, c);
}

}  // namespace sea
