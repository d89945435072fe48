#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "sea/detail/checks/rows.hpp"

namespace sea {

namespace {

struct Times {
  __device__ float operator()(float a, float b) const { return a * b; }
};

}  // namespace

void CudaBackend::multiply(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  checks::multiply(a, b, y);
  cuda::elementwise(context_->stream, "multiply", Times{}, y, a, b);
}

}  // namespace sea
