#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "sea/detail/checks/dense.hpp"

namespace sea {

namespace {

struct Product {
  float factor;
  __device__ float operator()(float x) const { return factor * x; }
};

}  // namespace

void CudaBackend::scale(float factor, ConstMatrixView x, MatrixView y) {
  checks::scale(x, y);
  cuda::elementwise(context_->stream, "scale", Product{factor}, y, x);
}

}  // namespace sea
