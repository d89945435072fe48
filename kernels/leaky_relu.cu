#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "sea/detail/checks/dense.hpp"

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
  checks::leaky_relu(x, y);
  cuda::elementwise(context_->stream, "leaky_relu", LeakyRelu{slope}, y, x);
}

void CudaBackend::leaky_relu_backward(ConstMatrixView y, ConstMatrixView dy, float slope, MatrixView dx) {
  checks::leaky_relu_backward(y, dy, slope, dx);
  cuda::elementwise(context_->stream, "leaky_relu_backward", LeakyReluBackward{slope}, dx, y, dy);
}

}  // namespace sea
