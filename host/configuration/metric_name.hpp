#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sea {

/// The ranking metrics, as people write them; files have them in lower case. docs/commands.md defines each.
inline constexpr std::array<std::string_view, 9> metric_titles = {
    "Recall", "NDCG", "Precision", "MAP", "Hit", "MRR", "AveragePopularity", "ItemCoverage", "GiniIndex"};

/// So many of the first are what a training computes and may follow.
inline constexpr std::size_t training_metrics = 4;
/// So many of the first are means over users; the others belong to the lists of all users together.
inline constexpr std::size_t user_metrics = 7;

/// A metric at a cut-off, as in Recall@20.
struct MetricName {
  std::size_t metric = 0;  ///< place in `metric_titles`
  std::int64_t cutoff = 0;

  std::string title() const;  ///< "Recall@20"
  std::string key() const;    ///< "recall@20"
  bool operator==(const MetricName&) const = default;
};

/// Nothing where `text` is no metric at a whole number from 1; case does not matter.
std::optional<MetricName> parse_metric(std::string_view text);

/// Places in `metric_titles`, ascending, of "recall,ndcg", or of all for "all". Throws UsageError, beginning
/// with `source`, for a name that is none or stands twice.
std::vector<std::size_t> parse_metrics(const std::string& text, const std::string& source);

}  // namespace sea
