#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "sea/detail/checks/dense.hpp"

namespace sea {

namespace {

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

}  // namespace

void CudaBackend::add(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  checks::add(a, b, y);
  cuda::elementwise(context_->stream, "add", Sum{}, y, a, b);
}

}  // namespace sea
