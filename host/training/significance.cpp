#include "training/significance.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sea {

SignedRank signed_rank_test(const std::vector<double>& differences) {
  std::vector<double> kept;
  for (const double difference : differences) {
    if (difference != 0.0) kept.push_back(difference);
  }
  SignedRank result;
  result.pairs = static_cast<std::int64_t>(kept.size());
  if (kept.empty()) return result;
  std::sort(kept.begin(), kept.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  const auto n = static_cast<double>(kept.size());
  double positive = 0.0, ties = 0.0;
  for (std::size_t begin = 0, end = 0; begin < kept.size(); begin = end) {
    while (end < kept.size() && std::abs(kept[end]) == std::abs(kept[begin])) ++end;
    const double rank = static_cast<double>(begin + 1 + end) / 2.0;
    const auto size = static_cast<double>(end - begin);
    ties += size * (size * size - 1.0);
    for (std::size_t i = begin; i < end; ++i) positive += kept[i] > 0.0 ? rank : 0.0;
  }
  const double all = n * (n + 1.0) / 2.0;
  result.statistic = std::min(positive, all - positive);
  const double deviation = std::sqrt((n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0);
  const double z = (result.statistic - all / 2.0) / deviation;
  result.p = std::min(1.0, std::erfc(-z / std::sqrt(2.0)));
  return result;
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> corrected(p.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(p.size() - i) * p[order[i]]));
    corrected[order[i]] = largest;
  }
  return corrected;
}

}  // namespace sea
