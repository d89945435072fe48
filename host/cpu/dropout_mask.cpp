#include "cpu/random_rows.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"

namespace sea {

void CpuBackend::dropout_mask(float probability, std::uint64_t seed, std::uint32_t stream,
                              const StepState* state, MatrixView y) {
  checks::dropout_mask(probability);
  const float kept = 1.0f / (1.0f - probability);
  cpu::fill_random(*pool_, seed, RandomPurpose::dropout, state->step, stream, y,
                   [=](std::uint32_t word) { return uniform_float(word) < probability ? 0.0f : kept; });
}

}  // namespace sea
