#include "cpu/check.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"
#include "sea/detail/decoder_terms.hpp"

namespace sea {

// A batch is a hundred rows to a few thousand: less work than waking the threads.
void CpuBackend::decoder_loss(ConstMatrixView cosines, float temperature, const StepState* state,
                              float weight, float* loss, MatrixView d_cosines) {
  constexpr const char* name = "decoder_loss";
  const std::int64_t n = cosines.rows, count = state != nullptr ? state->count : n;
  checks::decoder_loss(cosines, temperature, d_cosines);
  cpu::require_count(name, count, 1, n);
  const double inverse = 1.0 / static_cast<double>(temperature);
  const double share = static_cast<double>(weight) * inverse / static_cast<double>(count);
  double s = 0.0;
  for (std::int64_t i = 0; i < count; ++i) s += inverse * cosines(i, 2);
  double sum = 0.0, ds = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    const detail::DecoderTerms terms =
        detail::decoder_terms(inverse * cosines(i, 0), inverse * cosines(i, 1), s);
    sum += terms.loss;
    ds += terms.ds;
    d_cosines(i, 0) = static_cast<float>(share * terms.dp);
    d_cosines(i, 1) = static_cast<float>(share * terms.dq);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    if (i >= count) d_cosines(i, 0) = d_cosines(i, 1) = 0.0f;
    d_cosines(i, 2) = i < count ? static_cast<float>(share * ds) : 0.0f;
  }
  *loss = static_cast<float>(sum / static_cast<double>(count));
}

}  // namespace sea
