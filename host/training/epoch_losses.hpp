#pragma once

#include <string>
#include <utility>
#include <vector>

namespace sea {

/// Means over steps of a program's loss terms, as people read them, the total first. Terms that share a name
/// before the dot are one: numbered ones (club_fit.0, club_fit.1, ...: the values within one step) by their
/// last, others (distance.visual, distance.textual) by their mean.
using LossMeans = std::vector<std::pair<std::string, double>>;

/// `names` and `sums` as Program has them, `steps` >= 1.
LossMeans loss_means(const std::vector<std::string>& names, const std::vector<double>& sums, double steps);

}  // namespace sea
