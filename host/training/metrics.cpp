#include "training/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// What a hit at `rank` gains.
double discounted(std::int64_t rank) {
  static const std::vector<double> first = [] {
    std::vector<double> gains(256);
    for (std::size_t i = 0; i < gains.size(); ++i) gains[i] = 1.0 / std::log2(static_cast<double>(i) + 2.0);
    return gains;
  }();
  const auto i = static_cast<std::size_t>(rank - 1);
  return i < first.size() ? first[i] : 1.0 / std::log2(static_cast<double>(rank) + 1.0);
}

/// The ranks, from 1 and ascending, at which `ranked` has an item of `relevant`.
void find_hits(ConstIndexView ranked, ConstIndexView relevant, std::vector<std::int64_t>& ranks) {
  ranks.clear();
  const auto listed = static_cast<std::int64_t>(ranked.size());
  if (relevant.size() > 16) {
    for (std::int64_t j = 0; j < listed; ++j) {
      if (std::binary_search(relevant.begin(), relevant.end(), ranked[j])) ranks.push_back(j + 1);
    }
    return;
  }
  for (const std::int32_t item : relevant) {
    std::int32_t rank = 0;  // without a way out of the loop, so that it is one of vectors
    for (std::int64_t j = 0; j < listed; ++j)
      rank = ranked[j] == item ? static_cast<std::int32_t>(j) + 1 : rank;
    if (rank > 0) ranks.push_back(rank);
  }
  std::sort(ranks.begin(), ranks.end());
}

ListMetrics metrics_of_hits(const std::vector<std::int64_t>& ranks, std::size_t relevant,
                            std::int64_t cutoff) {
  const std::int64_t ideal = std::min(cutoff, static_cast<std::int64_t>(relevant));
  double hits = 0.0, gain = 0.0, ideal_gain = 0.0, precisions = 0.0;
  const bool hit = !ranks.empty() && ranks.front() <= cutoff;
  for (const std::int64_t rank : ranks) {
    if (rank > cutoff) break;
    hits += 1.0;
    gain += discounted(rank);
    precisions += hits / static_cast<double>(rank);
  }
  for (std::int64_t rank = 1; rank <= ideal; ++rank) ideal_gain += discounted(rank);
  return {hits / static_cast<double>(relevant),
          gain / ideal_gain,
          hits / static_cast<double>(cutoff),
          precisions / static_cast<double>(ideal),
          hit ? 1.0 : 0.0,
          hit ? 1.0 / static_cast<double>(ranks.front()) : 0.0};
}

}  // namespace

ListMetrics list_metrics(ConstIndexView ranked, ConstIndexView relevant, std::int64_t cutoff) {
  std::vector<std::int64_t> ranks;
  find_hits(ranked, relevant, ranks);
  return metrics_of_hits(ranks, relevant.size(), cutoff);
}

double Metrics::at(const std::string& name) const {
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  throw Error(fmt::format("there is no metric {} among those computed", name));
}

nlohmann::ordered_json to_json(const Metrics& metrics) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : metrics.values) json[name] = value;
  return json;
}

Metrics metrics_of(const nlohmann::ordered_json& json) {
  if (!json.is_object()) throw Error("metrics are not a JSON object");
  Metrics metrics;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_number()) throw Error(fmt::format("metric {} is not a number", printable(name)));
    metrics.values.emplace_back(name, value.get<double>());
  }
  return metrics;
}

MetricSums::MetricSums(std::vector<std::int64_t> cutoffs)
    : cutoffs_(std::move(cutoffs)), sums_(cutoffs_.size()) {}

void MetricSums::add(ConstIndexView ranked, ConstIndexView relevant) {
  find_hits(ranked, relevant, hit_ranks_);
  for (std::size_t i = 0; i < cutoffs_.size(); ++i) {
    const ListMetrics metrics = metrics_of_hits(hit_ranks_, relevant.size(), cutoffs_[i]);
    sums_[i].recall += metrics.recall;
    sums_[i].ndcg += metrics.ndcg;
    sums_[i].precision += metrics.precision;
    sums_[i].average_precision += metrics.average_precision;
  }
  ++users_;
}

Metrics MetricSums::means() const {
  Metrics metrics;
  metrics.users = users_;
  const double users = static_cast<double>(std::max<std::int64_t>(users_, 1));
  constexpr double ListMetrics::*members[] = {&ListMetrics::recall, &ListMetrics::ndcg,
                                              &ListMetrics::precision, &ListMetrics::average_precision};
  for (std::size_t metric = 0; metric < training_metrics; ++metric) {
    for (std::size_t i = 0; i < cutoffs_.size(); ++i)
      metrics.values.emplace_back(MetricName{metric, cutoffs_[i]}.key(), sums_[i].*members[metric] / users);
  }
  return metrics;
}

}  // namespace sea
