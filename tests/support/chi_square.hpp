#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace sea::test {

/// How many standard deviations Pearson's statistic of `counts` lies above its mean, if all outcomes are
/// equally likely. A fair draw stays below 5; a draw of fixed seeds stays where it is.
inline double chi_square_excess(const std::vector<std::int64_t>& counts) {
  double total = 0.0;
  for (const std::int64_t count : counts) total += static_cast<double>(count);
  const double expected = total / static_cast<double>(counts.size());
  double statistic = 0.0;
  for (const std::int64_t count : counts) {
    statistic += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
  }
  const auto freedom = static_cast<double>(counts.size() - 1);
  return (statistic - freedom) / std::sqrt(2.0 * freedom);
}

}  // namespace sea::test
