#include <algorithm>

#include "sea/cpu.hpp"
#include "sea/detail/checks/steps.hpp"

namespace sea {

void CpuBackend::advance_step(StepState* state, std::int64_t pairs, std::int64_t batch_size,
                              std::span<OptimizerState* const> optimizers) {
  checks::advance_step(pairs, batch_size, optimizers);
  for (OptimizerState* optimizer : optimizers) optimizer->step += 1;
  state->step += 1;
  state->first += state->count;
  if (state->first >= pairs) {
    state->first = 0;
    state->epoch += 1;
  }
  state->count = std::min(batch_size, pairs - state->first);
}

}  // namespace sea
