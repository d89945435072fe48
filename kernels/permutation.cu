#include "common/context.cuh"
#include "common/launch.cuh"
#include "sea/detail/checks/steps.hpp"
#include "sea/keyed_permutation.hpp"

namespace sea {

namespace {

constexpr int block_threads = 256;

struct Shared {
  KeyedPermutation image;
};

// One thread an index. The network's keys depend on the step, which only the device knows: the first thread
// of a block draws them for the others.
__global__ void __launch_bounds__(block_threads)
    permutation_kernel(std::uint64_t seed, RandomPurpose purpose, const StepState* state, std::uint32_t size,
                       std::int32_t* output, std::int64_t count) {
  Shared& shared = cuda::shared_memory<Shared>();
  if (threadIdx.x == 0) shared.image = KeyedPermutation(seed, purpose, state->step, size);
  __syncthreads();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (i < count) output[i] = static_cast<std::int32_t>(shared.image(static_cast<std::uint32_t>(i)));
}

}  // namespace

void CudaBackend::permutation(std::uint64_t seed, RandomPurpose purpose, const StepState* state,
                              std::int64_t size, IndexView output) {
  const auto count = static_cast<std::int64_t>(output.size());
  checks::permutation(size, output);
  cuda::launch(
      context_->stream, "permutation",
      {dim3(cuda::grid_size(cuda::blocks_of(count, block_threads))), dim3(block_threads), sizeof(Shared)},
      &permutation_kernel, seed, purpose, state, static_cast<std::uint32_t>(size), output.data(), count);
}

}  // namespace sea
