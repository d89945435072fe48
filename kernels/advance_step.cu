#include "common/context.cuh"
#include "common/launch.cuh"

namespace sea {

namespace {

__global__ void advance_step_kernel(StepState* state, std::int64_t pairs, std::int64_t batch_size) {
  if (threadIdx.x > 0) return;
  StepState next = *state;
  next.step += 1;
  next.first += next.count;
  if (next.first >= pairs) {
    next.first = 0;
    next.epoch += 1;
  }
  next.count = min(batch_size, pairs - next.first);
  *state = next;
}

}  // namespace

void CudaBackend::advance_step(StepState* state, std::int64_t pairs, std::int64_t batch_size) {
  cuda::require(pairs > 0, "advance_step", "there must be at least one pair");
  cuda::require(batch_size > 0, "advance_step", "the batch size must be at least 1");
  cuda::launch(context_->stream, "advance_step", {dim3(1), dim3(32)}, &advance_step_kernel, state, pairs,
               batch_size);
}

}  // namespace sea
