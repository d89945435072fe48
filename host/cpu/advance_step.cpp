#include <algorithm>

#include "cpu/check.hpp"
#include "sea/cpu.hpp"

namespace sea {

void CpuBackend::advance_step(StepState* state, std::int64_t pairs, std::int64_t batch_size,
                              std::span<OptimizerState* const> optimizers) {
  cpu::require(pairs > 0, "advance_step", "there must be at least one pair");
  cpu::require(batch_size > 0, "advance_step", "the batch size must be at least 1");
  cpu::require(optimizers.size() <= 8, "advance_step", "there are at most 8 optimizers");
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
