#include "cpu/random_rows.hpp"
#include "sea/cpu.hpp"
#include "sea/fast_exp.hpp"

namespace sea {

void CpuBackend::random_noise(Noise noise, std::uint64_t seed, std::uint32_t stream, const StepState* state,
                              MatrixView y) {
  const auto fill = [&](const auto& function) {
    cpu::fill_random(*pool_, seed, RandomPurpose::noise, state->step, stream, y, function);
  };
  switch (noise) {
    case Noise::uniform:
      return fill([](std::uint32_t word) { return open_uniform_float(word); });
    case Noise::gumbel:
      return fill([](std::uint32_t word) { return -fast_log(-fast_log(open_uniform_float(word))); });
  }
}

}  // namespace sea
