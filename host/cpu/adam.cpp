#include <algorithm>

#include "cpu/adam_update.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/steps.hpp"

namespace sea {

void CpuBackend::adam(VectorView parameters, ConstVectorView gradients, VectorView first_moment,
                      VectorView second_moment, const AdamSettings& settings, const OptimizerState* state) {
  const auto count = static_cast<std::int64_t>(parameters.size());
  checks::adam(parameters, gradients, first_moment, second_moment);
  const detail::AdamStep step = detail::adam_step(settings, state->learning_rate, state->step + 1);
  constexpr std::int64_t block_size = 16384;
  static constexpr float zeros[block_size] = {};
  pool_->parallel_for(cpu::blocks_of(count, block_size), [&](std::int64_t block, int) {
    const std::int64_t first = block * block_size;
    cpu::adam_update(step, parameters.data() + first, gradients.empty() ? zeros : gradients.data() + first,
                     first_moment.data() + first, second_moment.data() + first,
                     std::min(block_size, count - first));
  });
}

}  // namespace sea
