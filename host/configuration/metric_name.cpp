#include "configuration/metric_name.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "configuration/key.hpp"
#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// Its place in `metric_titles`, or their number.
std::size_t place_of(std::string_view name) {
  std::size_t metric = 0;
  while (metric < metric_titles.size() && to_lower(metric_titles[metric]) != to_lower(name)) ++metric;
  return metric;
}

}  // namespace

std::string MetricName::title() const {
  return fmt::format("{}@{}", metric_titles[metric], cutoff);
}

std::string MetricName::key() const {
  return to_lower(title());
}

std::optional<MetricName> parse_metric(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return {};
  MetricName name;
  name.metric = place_of(text.substr(0, at));
  const std::string_view cutoff = text.substr(at + 1);
  const auto [end, problem] = std::from_chars(cutoff.data(), cutoff.data() + cutoff.size(), name.cutoff);
  if (name.metric == metric_titles.size() || problem != std::errc() || end != cutoff.data() + cutoff.size() ||
      name.cutoff < 1)
    return {};
  return name;
}

std::vector<std::size_t> parse_metrics(const std::string& text, const std::string& source) {
  std::vector<std::size_t> metrics;
  if (to_lower(text) == "all") {
    metrics.resize(metric_titles.size());
    std::iota(metrics.begin(), metrics.end(), std::size_t{0});
    return metrics;
  }
  for (const std::string& name : split_at_commas(text)) {
    const std::size_t metric = place_of(name);
    if (metric == metric_titles.size()) {
      throw UsageError(fmt::format("{}: there is no metric '{}'; there are {}, and all", source,
                                   printable(name),
                                   to_lower(fmt::format("{}", fmt::join(metric_titles, ", ")))));
    }
    if (std::find(metrics.begin(), metrics.end(), metric) != metrics.end())
      throw UsageError(fmt::format("{}: {} stands twice", source, name));
    metrics.push_back(metric);
  }
  std::sort(metrics.begin(), metrics.end());
  return metrics;
}

}  // namespace sea
