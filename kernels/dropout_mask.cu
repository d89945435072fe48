#include "common/context.cuh"
#include "common/random_rows.cuh"
#include "sea/detail/checks/rows.hpp"

namespace sea {

namespace {

struct Mask {
  float probability, kept;
  __device__ float operator()(std::uint32_t word) const {
    return uniform_float(word) < probability ? 0.0f : kept;
  }
};

}  // namespace

void CudaBackend::dropout_mask(float probability, std::uint64_t seed, std::uint32_t stream,
                               const StepState* state, MatrixView y) {
  checks::dropout_mask(probability);
  cuda::fill_random(context_->stream, "dropout_mask", seed, RandomPurpose::dropout, state, stream, y,
                    Mask{probability, 1.0f / (1.0f - probability)});
}

}  // namespace sea
