#include "training/bootstrap.hpp"

#include <algorithm>
#include <cmath>

#include "data/random_stream.hpp"

namespace sea {

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

std::vector<Interval> bootstrap_intervals(const std::vector<double>& values, std::int64_t rows,
                                          std::int64_t columns, std::int64_t resamples, std::uint64_t seed) {
  if (rows == 0) return {};
  const auto width = static_cast<std::size_t>(columns);
  std::vector<std::vector<double>> means(width);
  std::vector<std::uint32_t> times(static_cast<std::size_t>(rows));
  std::vector<double> sums(width);
  for (std::int64_t resample = 0; resample < resamples; ++resample) {
    // How often each row was drawn, so that the sum runs through them in order.
    std::fill(times.begin(), times.end(), 0u);
    RandomStream stream(seed, resample);
    for (std::int64_t i = 0; i < rows; ++i) ++times[stream.below(static_cast<std::uint32_t>(rows))];
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t row = 0; row < times.size(); ++row) {
      if (times[row] == 0) continue;
      const double weight = times[row];
      for (std::size_t column = 0; column < width; ++column)
        sums[column] += weight * values[row * width + column];
    }
    for (std::size_t column = 0; column < width; ++column)
      means[column].push_back(sums[column] / static_cast<double>(rows));
  }
  std::vector<Interval> intervals;
  for (std::vector<double>& column : means) {
    std::sort(column.begin(), column.end());
    intervals.push_back(
        {quantile(column, (1.0 - confidence) / 2.0), quantile(column, (1.0 + confidence) / 2.0)});
  }
  return intervals;
}

}  // namespace sea
