#include "training/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sea/error.hpp"

namespace sea {

ListMetrics list_metrics(ConstIndexView ranked, ConstIndexView relevant, std::int64_t cutoff) {
  const std::int64_t listed = std::min(cutoff, static_cast<std::int64_t>(ranked.size()));
  const std::int64_t ideal = std::min(cutoff, static_cast<std::int64_t>(relevant.size()));
  double hits = 0.0, gain = 0.0, ideal_gain = 0.0, precisions = 0.0;
  for (std::int64_t rank = 1; rank <= listed; ++rank) {
    if (!std::binary_search(relevant.begin(), relevant.end(), ranked[rank - 1])) continue;
    hits += 1.0;
    gain += 1.0 / std::log2(static_cast<double>(rank) + 1.0);
    precisions += hits / static_cast<double>(rank);
  }
  for (std::int64_t rank = 1; rank <= ideal; ++rank)
    ideal_gain += 1.0 / std::log2(static_cast<double>(rank) + 1.0);
  return {hits / static_cast<double>(relevant.size()), gain / ideal_gain, hits / static_cast<double>(cutoff),
          precisions / static_cast<double>(ideal)};
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
    if (!value.is_number()) throw Error(fmt::format("metric {} is not a number", name));
    metrics.values.emplace_back(name, value.get<double>());
  }
  return metrics;
}

MetricSums::MetricSums(std::vector<std::int64_t> cutoffs)
    : cutoffs_(std::move(cutoffs)), sums_(cutoffs_.size()) {}

void MetricSums::add(ConstIndexView ranked, ConstIndexView relevant) {
  for (std::size_t i = 0; i < cutoffs_.size(); ++i) {
    const ListMetrics metrics = list_metrics(ranked, relevant, cutoffs_[i]);
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
  for (std::size_t metric = 0; metric < metric_titles.size(); ++metric) {
    for (std::size_t i = 0; i < cutoffs_.size(); ++i)
      metrics.values.emplace_back(MetricName{metric, cutoffs_[i]}.key(), sums_[i].*members[metric] / users);
  }
  return metrics;
}

}  // namespace sea
