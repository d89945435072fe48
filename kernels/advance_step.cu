#include "common/context.cuh"
#include "common/launch.cuh"
#include "sea/detail/checks/steps.hpp"

namespace sea {

namespace {

constexpr int most_optimizers = checks::most_optimizers;

struct Optimizers {
  OptimizerState* state[most_optimizers];
};

__global__ void advance_step_kernel(StepState* state, std::int64_t pairs, std::int64_t batch_size,
                                    Optimizers optimizers) {
  if (threadIdx.x > 0) return;
#pragma unroll
  for (int i = 0; i < most_optimizers; ++i) {
    if (optimizers.state[i] != nullptr) optimizers.state[i]->step += 1;
  }
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

void CudaBackend::advance_step(StepState* state, std::int64_t pairs, std::int64_t batch_size,
                               std::span<OptimizerState* const> optimizers) {
  checks::advance_step(pairs, batch_size, optimizers);
  Optimizers advanced = {};
  for (std::size_t i = 0; i < optimizers.size(); ++i) advanced.state[i] = optimizers[i];
  cuda::launch(context_->stream, "advance_step", {dim3(1), dim3(32)}, &advance_step_kernel, state, pairs,
               batch_size, advanced);
}

}  // namespace sea
