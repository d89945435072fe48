#include "tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace sea {

namespace {

using Cell = std::function<std::string(const std::string& key)>;

/// Lines "NAME  Recall  0.0617 ..." under the cut-offs that stand in the names of `names`.
std::string table(const std::vector<std::pair<std::string, Cell>>& results, const Metrics& names, int width) {
  if (results.empty()) return {};
  std::vector<std::int64_t> cutoffs;
  for (const auto& [key, value] : names.values) {
    const auto metric = parse_metric(key);
    if (std::find(cutoffs.begin(), cutoffs.end(), metric->cutoff) == cutoffs.end())
      cutoffs.push_back(metric->cutoff);
  }
  std::string text = fmt::format("{:<16}", "");
  for (const std::int64_t cutoff : cutoffs) text += fmt::format("{:>{}}", fmt::format("@{}", cutoff), width);
  text += '\n';
  for (const auto& [name, cell] : results) {
    for (std::size_t metric = 0; metric < metric_titles.size(); ++metric) {
      text += fmt::format("{:<6}{:<10}", metric == 0 ? name : "", metric_titles[metric]);
      for (const std::int64_t cutoff : cutoffs)
        text += fmt::format("{:>{}}", cell(MetricName{metric, cutoff}.key()), width);
      text += '\n';
    }
  }
  return text;
}

}  // namespace

std::string metrics_table(const std::vector<std::pair<std::string, Metrics>>& results) {
  std::vector<std::pair<std::string, Cell>> rows;
  Metrics names;
  for (const auto& [name, metrics] : results) {
    if (metrics.empty()) continue;
    names = metrics;
    rows.emplace_back(name, [&metrics = metrics](const std::string& key) {
      return fmt::format("{:.4f}", metrics.at(key));
    });
  }
  return table(rows, names, 9);
}

std::string mean_table(const std::vector<std::pair<std::string, std::vector<Metrics>>>& results) {
  std::vector<std::pair<std::string, Cell>> rows;
  Metrics names;
  for (const auto& [name, runs] : results) {
    if (runs.empty()) continue;
    names = runs.front();
    rows.emplace_back(name, [&runs = runs](const std::string& key) {
      const double count = static_cast<double>(runs.size());
      double mean = 0.0, squares = 0.0;
      for (const Metrics& run : runs) mean += run.at(key) / count;
      for (const Metrics& run : runs) squares += (run.at(key) - mean) * (run.at(key) - mean);
      return fmt::format("{:.4f}+-{:.4f}", mean, runs.size() > 1 ? std::sqrt(squares / (count - 1.0)) : 0.0);
    });
  }
  return table(rows, names, 17);
}

}  // namespace sea
