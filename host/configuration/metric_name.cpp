#include "configuration/metric_name.hpp"

#include <fmt/format.h>

#include <charconv>

#include "configuration/key.hpp"

namespace sea {

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
  while (name.metric < metric_titles.size() &&
         to_lower(metric_titles[name.metric]) != to_lower(text.substr(0, at)))
    ++name.metric;
  const std::string_view cutoff = text.substr(at + 1);
  const auto [end, problem] = std::from_chars(cutoff.data(), cutoff.data() + cutoff.size(), name.cutoff);
  if (name.metric == metric_titles.size() || problem != std::errc() || end != cutoff.data() + cutoff.size() ||
      name.cutoff < 1)
    return {};
  return name;
}

}  // namespace sea
