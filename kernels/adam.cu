#include <algorithm>

#include "common/adam_update.cuh"
#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "sea/detail/checks/steps.hpp"

namespace sea {

namespace {

constexpr int block_threads = 256;
constexpr std::int64_t blocks_per_multiprocessor = 8;  // as many as run at one time

struct Shared {
  cuda::AdamStep step;
};

// The corrections need two powers in double precision, and the step number is known to the device alone: the
// first thread of a block computes them, and blocks are few and walk over the arenas.
template <int width>
__global__ void __launch_bounds__(block_threads)
    adam_kernel(float* parameters, const float* gradients, float* first_moment, float* second_moment,
                std::int64_t count, AdamSettings settings, const OptimizerState* state) {
  Shared& shared = cuda::shared_memory<Shared>();
  if (threadIdx.x == 0) shared.step = cuda::adam_step(settings, state->learning_rate, state->step + 1);
  __syncthreads();
  const cuda::AdamStep step = shared.step;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * block_threads * width;
  std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x) * width;
  for (; i + width <= count; i += stride) {
    cuda::Pack<width> gradient = {};
    if (gradients != nullptr) gradient = cuda::load_pack<width>(gradients + i);
    cuda::Pack<width> parameter = cuda::load_pack<width>(parameters + i);
    cuda::Pack<width> first = cuda::load_pack<width>(first_moment + i);
    cuda::Pack<width> second = cuda::load_pack<width>(second_moment + i);
#pragma unroll
    for (int e = 0; e < width; ++e) {
      cuda::adam_update(step, gradient.value[e], parameter.value[e], first.value[e], second.value[e]);
    }
    cuda::store_pack<width>(parameters + i, parameter);
    cuda::store_pack<width>(first_moment + i, first);
    cuda::store_pack<width>(second_moment + i, second);
  }
  for (; i < count && width > 1; ++i) {  // the end of the arenas, where no whole pack is left
    cuda::adam_update(step, gradients != nullptr ? gradients[i] : 0.0f, parameters[i], first_moment[i],
                      second_moment[i]);
  }
}

bool is_aligned(const float* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

}  // namespace

void CudaBackend::adam(VectorView parameters, ConstVectorView gradients, VectorView first_moment,
                       VectorView second_moment, const AdamSettings& settings, const OptimizerState* state) {
  const auto count = static_cast<std::int64_t>(parameters.size());
  checks::adam(parameters, gradients, first_moment, second_moment);
  const auto start = [&](auto kernel, std::int64_t width) {
    const std::int64_t blocks = std::min(cuda::blocks_of(count, block_threads * width),
                                         context_->multiprocessors * blocks_per_multiprocessor);
    cuda::launch(context_->stream, "adam",
                 {dim3(cuda::grid_size(blocks)), dim3(block_threads), sizeof(Shared)}, kernel,
                 parameters.data(), gradients.empty() ? nullptr : gradients.data(), first_moment.data(),
                 second_moment.data(), count, settings, state);
  };
  if (is_aligned(parameters.data()) && is_aligned(gradients.data()) && is_aligned(first_moment.data()) &&
      is_aligned(second_moment.data())) {
    start(&adam_kernel<4>, 4);
  } else {
    start(&adam_kernel<1>, 1);
  }
}

}  // namespace sea
