#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "training/bootstrap.hpp"
#include "training/metrics.hpp"

namespace sea {

/// Lines of cells, the first the header: the first column to the left, the others to the right and at least
/// `least` wide. What does not fit into 100 columns follows below, beside the first column again.
std::string text_table(const std::vector<std::vector<std::string>>& lines, std::size_t least = 0);

/// "0.0617", "12.34", and "-" for what is no number.
std::string figure(double value);
/// "0.0583-0.0651"
std::string interval_text(const Interval& interval);

/// Intervals of metrics, by name; of some, or of none.
using MetricIntervals = std::vector<std::pair<std::string, Interval>>;

/// A table for people: a line a metric, a column a cut-off; several results one below the other under their
/// names. A result without metrics is left out. `intervals` stand below the values of every result.
std::string metrics_table(const std::vector<std::pair<std::string, Metrics>>& results,
                          const MetricIntervals& intervals = {});

/// Mean and sample standard deviation of each metric over several runs.
std::string mean_table(const std::vector<std::pair<std::string, std::vector<Metrics>>>& results);

/// A line of `group_table`.
struct GroupLine {
  std::string name;
  Metrics metrics;
  MetricIntervals intervals;
};

/// The metrics at one cut-off: a line a group, with how many users it has, a column a metric.
std::string group_table(const std::vector<GroupLine>& groups, std::int64_t cutoff);

}  // namespace sea
