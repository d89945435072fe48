#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sea {

/// The ranking metrics, as people write them; files have them in lower case.
inline constexpr std::array<std::string_view, 4> metric_titles = {"Recall", "NDCG", "Precision", "MAP"};

/// A metric at a cut-off, as in Recall@20.
struct MetricName {
  std::size_t metric = 0;  ///< place in `metric_titles`
  std::int64_t cutoff = 0;

  std::string title() const;  ///< "Recall@20"
  std::string key() const;    ///< "recall@20"
};

/// Nothing where `text` is no metric at a whole number from 1; case does not matter.
std::optional<MetricName> parse_metric(std::string_view text);

}  // namespace sea
