// Bootstrap intervals, the signed-rank test and Holm's correction.

#include <algorithm>
#include <cmath>

#include "data/random_stream.hpp"
#include "support/catch.hpp"
#include "training/bootstrap.hpp"
#include "training/significance.hpp"

using namespace sea;

TEST_CASE("bootstrap: quantiles lie between order statistics", "[statistics]") {
  // numpy.quantile([1, 2, 3, 10], ...)
  const std::vector<double> sorted = {1.0, 2.0, 3.0, 10.0};
  CHECK(quantile(sorted, 0.025) == Approx(1.075));
  CHECK(quantile(sorted, 0.3) == Approx(1.9));
  CHECK(quantile(sorted, 0.975) == Approx(9.475));
  CHECK(quantile(sorted, 0.0) == 1.0);
  CHECK(quantile(sorted, 1.0) == 10.0);
  CHECK(quantile({7.0}, 0.5) == 7.0);
}

TEST_CASE("bootstrap: equals drawing rows one by one", "[statistics]") {
  constexpr std::int64_t rows = 37, columns = 3, resamples = 200;
  std::vector<double> values;
  for (std::int64_t i = 0; i < rows * columns; ++i) values.push_back(static_cast<double>(i * i % 23) / 7.0);
  const std::vector<Interval> found = bootstrap_intervals(values, rows, columns, resamples, 5);
  REQUIRE(found.size() == columns);
  for (std::int64_t column = 0; column < columns; ++column) {
    std::vector<double> means;
    for (std::int64_t resample = 0; resample < resamples; ++resample) {
      RandomStream stream(5, resample);
      double sum = 0.0;
      for (std::int64_t i = 0; i < rows; ++i)
        sum += values[static_cast<std::size_t>(stream.below(rows) * columns + column)];
      means.push_back(sum / rows);
    }
    std::sort(means.begin(), means.end());
    // 200 resamples: the 2.5th percentile lies at 4.975, the 97.5th at 194.025.
    const Interval& interval = found[static_cast<std::size_t>(column)];
    CHECK(interval.low == Approx(means[4] + 0.975 * (means[5] - means[4])).epsilon(1e-12));
    CHECK(interval.high == Approx(means[194] + 0.025 * (means[195] - means[194])).epsilon(1e-12));
  }
  // The seed decides, and nothing else.
  const std::vector<Interval> again = bootstrap_intervals(values, rows, columns, resamples, 5),
                              other = bootstrap_intervals(values, rows, columns, resamples, 6);
  CHECK(again[0].low == found[0].low);
  CHECK(again[2].high == found[2].high);
  CHECK(other[0].low != found[0].low);
}

TEST_CASE("bootstrap: about as wide as the normal approximation, and empty without rows", "[statistics]") {
  // 400 numbers 0 or 1, a quarter of them 1: the standard error of the mean is sqrt(3/16 / 400).
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back(i % 4 == 0 ? 1.0 : 0.0);
  const Interval interval = bootstrap_intervals(values, 400, 1, 2000, 999).front();
  const double error = std::sqrt(3.0 / 16.0 / 400.0);
  CHECK(interval.low == Approx(0.25 - 1.96 * error).margin(0.3 * error));
  CHECK(interval.high == Approx(0.25 + 1.96 * error).margin(0.3 * error));
  CHECK(bootstrap_intervals({}, 0, 3, 100, 1).empty());
  const Interval one = bootstrap_intervals({0.25}, 1, 1, 100, 1).front();
  CHECK(one.low == 0.25);
  CHECK(one.high == 0.25);
}

TEST_CASE("signed-rank test: equals scipy's", "[statistics]") {
  // scipy.stats.wilcoxon(d, zero_method="wilcox", correction=False, method="asymptotic") of SciPy 1.17.1
  struct Case {
    std::vector<double> differences;
    double statistic;
    std::int64_t pairs;
    double p;
  };
  std::vector<double> many;
  for (int i = 0; i < 500; ++i) many.push_back(((i * i * 7 + i * 3) % 11 - 4) / 8.0);
  const std::vector<Case> cases = {
      {{1, 2, -3, 0, 2, 2, -1}, 7.5, 6, 0.52360856437225078},
      {{0.31, -0.12, 0.05, 0.44, -0.27, 0.18, 0.09, -0.02, 0.61, 0.37, -0.53, 0.24},
       23.0,
       12,
       0.20942675696103719},
      {{0.5, 0.5, 0.25, 0.25, 0.125, 1.0, 0.75, 0.0, 0.0}, 0.0, 7, 0.017552325938416859},
      {{-0.5}, 0.0, 1, 0.31731050786291415},
      {{0.5, -0.5, 0.25, -0.25}, 5.0, 4, 1.0},
      {many, 49777.0, 455, 0.4535238412899677}};
  for (const Case& c : cases) {
    const SignedRank found = signed_rank_test(c.differences);
    CHECK(found.statistic == c.statistic);
    CHECK(found.pairs == c.pairs);
    CHECK(found.p == Approx(c.p).epsilon(1e-12));
    // The other way round the difference is as significant.
    std::vector<double> turned = c.differences;
    for (double& value : turned) value = -value;
    CHECK(signed_rank_test(turned).p == found.p);
  }
  for (const std::vector<double>& nothing : {std::vector<double>{}, std::vector<double>{0.0, -0.0, 0.0}}) {
    CHECK(signed_rank_test(nothing).pairs == 0);
    CHECK(signed_rank_test(nothing).p == 1.0);
  }
}

TEST_CASE("Holm: the smallest p times the number of tests, and so on, never less than the one before",
          "[statistics]") {
  const std::vector<double> corrected = holm({0.01, 0.04, 0.03, 0.005, 0.5, 0.04});
  const std::vector<double> expected = {0.05, 0.12, 0.12, 0.03, 0.5, 0.12};
  REQUIRE(corrected.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(corrected[i] == Approx(expected[i]));
  CHECK(holm({0.7, 0.8}) == std::vector<double>{1.0, 1.0});
  CHECK(holm({}).empty());
}
