#include "cpu/check.hpp"
#include "sea/cpu.hpp"

namespace sea {

void CpuBackend::accumulate_losses(VectorView terms, ConstVectorView weights, std::span<double> sums) {
  cpu::require(!terms.empty(), "accumulate_losses", "terms must have at least the total");
  cpu::require_size("accumulate_losses", "weights", weights.size(),
                    static_cast<std::int64_t>(terms.size()) - 1);
  cpu::require_size("accumulate_losses", "sums", sums.size(), static_cast<std::int64_t>(terms.size()));
  double total = 0.0;
  for (std::size_t t = 0; t < weights.size(); ++t) {
    total += static_cast<double>(weights[t]) * static_cast<double>(terms[t]);
  }
  terms.back() = static_cast<float>(total);
  for (std::size_t t = 0; t < terms.size(); ++t) sums[t] += static_cast<double>(terms[t]);
}

}  // namespace sea
