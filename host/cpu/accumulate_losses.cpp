#include "sea/cpu.hpp"
#include "sea/detail/checks/steps.hpp"

namespace sea {

void CpuBackend::accumulate_losses(VectorView terms, ConstVectorView weights, std::span<double> sums) {
  checks::accumulate_losses(terms, weights, sums);
  double total = 0.0;
  for (std::size_t t = 0; t < weights.size(); ++t) {
    total += static_cast<double>(weights[t]) * static_cast<double>(terms[t]);
  }
  terms.back() = static_cast<float>(total);
  for (std::size_t t = 0; t < terms.size(); ++t) sums[t] += static_cast<double>(terms[t]);
}

}  // namespace sea
