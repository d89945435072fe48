#include "common/context.cuh"
#include "common/random_rows.cuh"
#include "sea/fast_exp.hpp"

namespace sea {

namespace {

struct Uniform {
  __device__ float operator()(std::uint32_t word) const { return open_uniform_float(word); }
};

struct Gumbel {
  __device__ float operator()(std::uint32_t word) const {
    return -fast_log(-fast_log(open_uniform_float(word)));
  }
};

}  // namespace

void CudaBackend::random_noise(Noise noise, std::uint64_t seed, std::uint32_t stream, const StepState* state,
                               MatrixView y) {
  const auto fill = [&](const auto& function) {
    cuda::fill_random(context_->stream, "random_noise", seed, RandomPurpose::noise, state, stream, y,
                      function);
  };
  switch (noise) {
    case Noise::uniform:
      return fill(Uniform{});
    case Noise::gumbel:
      return fill(Gumbel{});
  }
}

}  // namespace sea
