#pragma once

#include <string>
#include <utility>
#include <vector>

#include "training/metrics.hpp"

namespace sea {

/// A table for people: a line a metric, a column a cut-off; several results one below the other under their
/// names. A result without metrics is left out.
std::string metrics_table(const std::vector<std::pair<std::string, Metrics>>& results);

/// Mean and sample standard deviation of each metric over several runs.
std::string mean_table(const std::vector<std::pair<std::string, std::vector<Metrics>>>& results);

}  // namespace sea
