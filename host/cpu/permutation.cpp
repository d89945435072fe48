#include <algorithm>

#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/steps.hpp"
#include "sea/keyed_permutation.hpp"

namespace sea {

void CpuBackend::permutation(std::uint64_t seed, RandomPurpose purpose, const StepState* state,
                             std::int64_t size, IndexView output) {
  const auto count = static_cast<std::int64_t>(output.size());
  checks::permutation(size, output);
  const KeyedPermutation image(seed, purpose, state->step, static_cast<std::uint32_t>(size));
  constexpr std::int64_t block_size = 1024;
  pool_->parallel_for(cpu::blocks_of(count, block_size), [&](std::int64_t block, int) {
    const std::int64_t end = std::min(count, (block + 1) * block_size);
    for (std::int64_t i = block * block_size; i < end; ++i) {
      output[i] = static_cast<std::int32_t>(image(static_cast<std::uint32_t>(i)));
    }
  });
}

}  // namespace sea
