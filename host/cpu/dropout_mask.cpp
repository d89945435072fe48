#include "cpu/check.hpp"
#include "cpu/random_rows.hpp"
#include "sea/cpu.hpp"

namespace sea {

void CpuBackend::dropout_mask(float probability, std::uint64_t seed, std::uint32_t stream,
                              const StepState* state, MatrixView y) {
  cpu::require(probability >= 0.0f && probability < 1.0f, "dropout_mask",
               "the probability must be at least 0 and below 1");
  const float kept = 1.0f / (1.0f - probability);
  cpu::fill_random(*pool_, seed, RandomPurpose::dropout, state->step, stream, y,
                   [=](std::uint32_t word) { return uniform_float(word) < probability ? 0.0f : kept; });
}

}  // namespace sea
