#include "common/context.cuh"
#include "sea/detail/checks/graphs.hpp"
#include "spmm.cuh"
#include "tuned.cuh"

namespace sea {

void CudaBackend::spmm(const CsrView& a, ConstMatrixView x, ConstMatrixView residual, MatrixView y) {
  checks::spmm(a, x, residual, y);
  if (y.empty()) return;
  cuda::start_spmm<cuda::tuned::SpmmTiling>(context_->stream, a, x, residual, y);
}

}  // namespace sea
