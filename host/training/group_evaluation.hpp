#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/host_matrix.hpp"
#include "training/metrics.hpp"

namespace sea {

/// A part of the held-out pairs: those whose user and whose item belong to it.
struct EvaluationGroup {
  std::string name;                               ///< "popularity-1"
  std::string by;                                 ///< the kind of groups that it is one of: "popularity"
  std::vector<bool> users = {};                   ///< who belongs to it; empty: everybody
  std::vector<bool> items = {};                   ///< likewise
  std::int64_t fewest_pairs = 0, most_pairs = 0;  ///< training pairs of its items, or of its users

  bool has_user(std::int64_t user) const { return users.empty() || users[static_cast<std::size_t>(user)]; }
  bool has_item(std::int64_t item) const { return items.empty() || items[static_cast<std::size_t>(item)]; }
};

/// Kinds of groups that there are.
inline constexpr std::array<std::string_view, 3> group_kinds = {"popularity", "cold", "history"};

/// Of `kinds`, in the order of `group_kinds`:
/// - popularity: the items with a training pair in five groups of equal size (within one), the first of the
///   most popular items; of equals the lower id counts as the more popular;
/// - cold: the items without a training pair;
/// - history: the users of `held_out` whose number of training pairs is at most its median (of an even number
///   of users the lower of the two in the middle), and those with more.
std::vector<EvaluationGroup> evaluation_groups(const std::vector<std::string>& kinds, const HostCsr& train,
                                               const HostCsr& held_out);

/// Training pairs of each item.
std::vector<std::int64_t> item_popularity(const HostCsr& train);

/// A table of users: each one's metrics.
struct UserMetrics {
  std::vector<MetricName> names;    ///< of the columns
  std::vector<std::int32_t> users;  ///< of the rows, ascending
  std::vector<double> values;       ///< users x names

  std::int64_t rows() const { return static_cast<std::int64_t>(users.size()); }
  std::int64_t columns() const { return static_cast<std::int64_t>(names.size()); }
  /// Means over users, summed in their order.
  std::vector<double> means() const;
};

/// What came of a group.
struct GroupMetrics {
  std::int64_t items = 0, pairs = 0;  ///< items that belong to it, held-out pairs
  UserMetrics by_user;                ///< of the metrics that were asked for those that a user has
  Metrics metrics;                    ///< all that were asked for; NaN where a group has none to show
};

/// Takes up the ranked lists of an evaluation, user after user, for one group. Relevant are the held-out
/// items that belong to it; a user without any does not count. ItemCoverage and GiniIndex are of its items,
/// in the lists of all users that belong to it, whether they have a relevant item or not.
class GroupEvaluation {
 public:
  /// `metrics`: places in `metric_titles`, ascending; `cutoffs` ascending. `popularity` (per item) and
  /// `group` must live as long.
  GroupEvaluation(const EvaluationGroup& group, const std::vector<std::size_t>& metrics,
                  std::vector<std::int64_t> cutoffs, const std::vector<std::int64_t>& popularity);

  /// As Evaluator::rank gives them; `held_out` is the user's row of the split.
  void add(std::int64_t user, ConstIndexView ranked, ConstIndexView held_out);

  GroupMetrics result() const;

 private:
  void count_shown(ConstIndexView ranked);
  void add_list_metrics(GroupMetrics& result) const;

  const EvaluationGroup& group_;
  const std::vector<std::int64_t>& popularity_;
  std::vector<std::int64_t> cutoffs_;
  std::vector<std::size_t> of_users_, of_lists_;  ///< metrics of either kind
  /// Per cut-off: how often an item stands in a list after the cut-off before.
  std::vector<std::vector<std::uint32_t>> shown_;
  GroupMetrics result_;
};

}  // namespace sea
