#include "common/context.cuh"
#include "common/elementwise.cuh"

namespace sea {

namespace {

struct Times {
  __device__ float operator()(float a, float b) const { return a * b; }
};

}  // namespace

void CudaBackend::multiply(ConstMatrixView a, ConstMatrixView b, MatrixView y) {
  cuda::require_shape("multiply", "b", b, a.rows, a.columns);
  cuda::require_shape("multiply", "y", y, a.rows, a.columns);
  cuda::elementwise(context_->stream, "multiply", Times{}, y, a, b);
}

}  // namespace sea
