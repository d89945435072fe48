#pragma once

#include <cmath>

#include "sea/host_device.hpp"

namespace sea::detail {

/// A row's part of Backend::decoder_loss, and its derivatives by p, q and S.
struct DecoderTerms {
  double loss, dp, dq, ds;
};

SEA_HOST_DEVICE inline DecoderTerms decoder_terms(double p, double q, double s) {
  const double pair = q > s ? q : s, all = p > pair ? p : pair;
  const double ap = std::exp(p - all), aq = std::exp(q - all), as = std::exp(s - all), a = ap + aq + as;
  const double bq = std::exp(q - pair), bs = std::exp(s - pair), b = bq + bs;
  return {all + std::log(a) - p + pair + std::log(b) - q, ap / a - 1.0, aq / a + bq / b - 1.0,
          as / a + bs / b};
}

}  // namespace sea::detail
