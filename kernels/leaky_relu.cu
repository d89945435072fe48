#include "common/context.cuh"
#include "common/elementwise.cuh"

namespace sea {

namespace {

struct LeakyRelu {
  float slope;
  __device__ float operator()(float x) const { return x > 0.0f ? x : slope * x; }
};

struct LeakyReluBackward {
  float slope;
  __device__ float operator()(float y, float dy) const { return y > 0.0f ? dy : slope * dy; }
};

}  // namespace

void CudaBackend::leaky_relu(ConstMatrixView x, float slope, MatrixView y) {
  cuda::require_shape("leaky_relu", "y", y, x.rows, x.columns);
  cuda::elementwise(context_->stream, "leaky_relu", LeakyRelu{slope}, y, x);
}

void CudaBackend::leaky_relu_backward(ConstMatrixView y, ConstMatrixView dy, float slope, MatrixView dx) {
  cuda::require_shape("leaky_relu_backward", "dy", dy, y.rows, y.columns);
  cuda::require_shape("leaky_relu_backward", "dx", dx, y.rows, y.columns);
  cuda::elementwise(context_->stream, "leaky_relu_backward", LeakyReluBackward{slope}, dx, y, dy);
}

}  // namespace sea
