#pragma once

#include <cstdint>
#include <vector>

namespace sea {

/// Wilcoxon's signed-rank test of paired differences, two-sided.
struct SignedRank {
  double statistic = 0.0;  ///< the smaller of the two sums of ranks
  std::int64_t pairs = 0;  ///< differences that are not 0
  double p = 1.0;          ///< 1 where there are none
};

/// Differences of 0 are left out (Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin
/// 1 (1945)); equal sizes share the mean of their ranks. p by the normal approximation, its variance
/// corrected for ties, without correction for continuity: scipy.stats.wilcoxon with zero_method="wilcox",
/// correction=False, method="asymptotic".
SignedRank signed_rank_test(const std::vector<double>& differences);

/// Holm's correction of the p of a family of tests ("A simple sequentially rejective multiple test
/// procedure", Scandinavian Journal of Statistics 6 (1979)): at level a those tests are significant whose
/// corrected p is at most a.
std::vector<double> holm(const std::vector<double>& p);

}  // namespace sea
