#include "common/context.cuh"
#include "common/elementwise.cuh"

namespace sea {

namespace {

struct Product {
  float factor;
  __device__ float operator()(float x) const { return factor * x; }
};

}  // namespace

void CudaBackend::scale(float factor, ConstMatrixView x, MatrixView y) {
  cuda::require_shape("scale", "y", y, x.rows, x.columns);
  cuda::elementwise(context_->stream, "scale", Product{factor}, y, x);
}

}  // namespace sea
