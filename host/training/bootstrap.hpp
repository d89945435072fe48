#pragma once

#include <cstdint>
#include <vector>

namespace sea {

/// Both ends of a confidence interval.
struct Interval {
  double low = 0.0, high = 0.0;
};

/// The share of resamples that an interval holds.
inline constexpr double confidence = 0.95;

/// Percentile bootstrap intervals of the means of the columns of `values` (rows x columns): each of
/// `resamples` draws `rows` rows with replacement, the same for all columns; an interval reaches from
/// the 2.5th to the 97.5th percentile of the resamples' means (between two order statistics: linear). Efron,
/// "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).
///
/// Draw i of resample r is number i of the Philox stream r of `seed` (RandomStream): the same everywhere.
/// Empty where there are no rows.
std::vector<Interval> bootstrap_intervals(const std::vector<double>& values, std::int64_t rows,
                                          std::int64_t columns, std::int64_t resamples, std::uint64_t seed);

/// The `share`th quantile of `sorted` (ascending, not empty), linear between two of its numbers.
double quantile(const std::vector<double>& sorted, double share);

}  // namespace sea
