#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "sea/detail/checks/rows.hpp"
#include "sea/fast_exp.hpp"

namespace sea {

namespace {

struct Sigmoid {
  __device__ float operator()(float x) const { return fast_sigmoid(x); }
};

struct Tanh {
  __device__ float operator()(float x) const { return fast_tanh(x); }
};

struct SigmoidBackward {
  __device__ float operator()(float y, float dy) const { return dy * (y * (1.0f - y)); }
};

struct TanhBackward {
  __device__ float operator()(float y, float dy) const { return dy * (1.0f - y * y); }
};

}  // namespace

void CudaBackend::activate(Activation activation, ConstMatrixView x, MatrixView y) {
  checks::activate(x, y);
  switch (activation) {
    case Activation::sigmoid:
      return cuda::elementwise(context_->stream, "activate", Sigmoid{}, y, x);
    case Activation::tanh:
      return cuda::elementwise(context_->stream, "activate", Tanh{}, y, x);
  }
}

void CudaBackend::activate_backward(Activation activation, ConstMatrixView y, ConstMatrixView dy,
                                    MatrixView dx) {
  constexpr const char* name = "activate_backward";
  checks::activate_backward(y, dy, dx);
  switch (activation) {
    case Activation::sigmoid:
      return cuda::elementwise(context_->stream, name, SigmoidBackward{}, dx, y, dy);
    case Activation::tanh:
      return cuda::elementwise(context_->stream, name, TanhBackward{}, dx, y, dy);
  }
}

}  // namespace sea
