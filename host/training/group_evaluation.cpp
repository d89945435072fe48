#include "training/group_evaluation.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>

namespace sea {

namespace {

constexpr std::int64_t fifths = 5;

void add_popularity(const std::vector<std::int64_t>& popularity, std::vector<EvaluationGroup>& groups) {
  std::vector<std::size_t> order;
  for (std::size_t item = 0; item < popularity.size(); ++item) {
    if (popularity[item] > 0) order.push_back(item);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return popularity[a] > popularity[b]; });
  const auto warm = static_cast<std::int64_t>(order.size());
  for (std::int64_t fifth = 0; fifth < fifths; ++fifth) {
    EvaluationGroup group{"popularity-" + std::to_string(fifth + 1), "popularity"};
    group.items.resize(popularity.size());
    const std::int64_t begin = fifth * warm / fifths, end = (fifth + 1) * warm / fifths;
    for (std::int64_t i = begin; i < end; ++i) group.items[order[static_cast<std::size_t>(i)]] = true;
    if (begin < end) {
      group.most_pairs = popularity[order[static_cast<std::size_t>(begin)]];
      group.fewest_pairs = popularity[order[static_cast<std::size_t>(end - 1)]];
    }
    groups.push_back(std::move(group));
  }
}

void add_history(const HostCsr& train, const HostCsr& held_out, std::vector<EvaluationGroup>& groups) {
  const auto length = [&](std::int64_t user) { return static_cast<std::int64_t>(train.row(user).size()); };
  std::vector<std::int64_t> lengths;
  for (std::int64_t user = 0; user < held_out.rows; ++user) {
    if (!held_out.row(user).empty()) lengths.push_back(length(user));
  }
  std::sort(lengths.begin(), lengths.end());
  const std::int64_t median = lengths.empty() ? 0 : lengths[(lengths.size() - 1) / 2];
  const auto longer = std::upper_bound(lengths.begin(), lengths.end(), median);
  for (const bool is_long : {false, true}) {
    EvaluationGroup group{is_long ? "history-long" : "history-short", "history"};
    group.users.resize(static_cast<std::size_t>(held_out.rows));
    for (std::int64_t user = 0; user < held_out.rows; ++user)
      group.users[static_cast<std::size_t>(user)] =
          !held_out.row(user).empty() && (length(user) > median) == is_long;
    const auto begin = is_long ? longer : lengths.begin(), end = is_long ? lengths.end() : longer;
    if (begin != end) {
      group.fewest_pairs = *begin;
      group.most_pairs = *std::prev(end);
    }
    groups.push_back(std::move(group));
  }
}

/// Gini's coefficient of non-negative numbers, ascending; NaN where all are 0.
double gini(std::vector<std::int64_t> counts) {
  std::sort(counts.begin(), counts.end());
  const auto n = static_cast<std::int64_t>(counts.size());
  double sum = 0.0, weighted = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto count = static_cast<double>(counts[static_cast<std::size_t>(i)]);
    sum += count;
    weighted += static_cast<double>(2 * (i + 1) - n - 1) * count;
  }
  return sum > 0.0 ? weighted / (static_cast<double>(n) * sum) : std::numeric_limits<double>::quiet_NaN();
}

/// Mean popularity of the first `cutoff` items of a list; 0 where it is empty.
double mean_popularity(ConstIndexView ranked, std::int64_t cutoff,
                       const std::vector<std::int64_t>& popularity) {
  double sum = 0.0, items = 0.0;
  for (std::size_t i = 0; i < ranked.size() && static_cast<std::int64_t>(i) < cutoff && ranked[i] >= 0; ++i) {
    sum += static_cast<double>(popularity[static_cast<std::size_t>(ranked[i])]);
    items += 1.0;
  }
  return items > 0.0 ? sum / items : 0.0;
}

}  // namespace

std::vector<std::int64_t> item_popularity(const HostCsr& train) {
  std::vector<std::int64_t> popularity(static_cast<std::size_t>(train.columns));
  for (const std::int32_t item : train.column_indices) ++popularity[static_cast<std::size_t>(item)];
  return popularity;
}

std::vector<EvaluationGroup> evaluation_groups(const std::vector<std::string>& kinds, const HostCsr& train,
                                               const HostCsr& held_out) {
  const auto asked = [&](std::string_view kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  };
  std::vector<EvaluationGroup> groups;
  const std::vector<std::int64_t> popularity = item_popularity(train);
  if (asked("popularity")) add_popularity(popularity, groups);
  if (asked("cold")) {
    EvaluationGroup group{"cold", "cold"};
    for (const std::int64_t pairs : popularity) group.items.push_back(pairs == 0);
    groups.push_back(std::move(group));
  }
  if (asked("history")) add_history(train, held_out, groups);
  return groups;
}

std::vector<double> UserMetrics::means() const {
  std::vector<double> sums(names.size());
  for (std::size_t i = 0; i < values.size(); ++i) sums[i % names.size()] += values[i];
  for (double& sum : sums) sum /= static_cast<double>(users.size());
  return sums;
}

GroupEvaluation::GroupEvaluation(const EvaluationGroup& group, const std::vector<std::size_t>& metrics,
                                 std::vector<std::int64_t> cutoffs,
                                 const std::vector<std::int64_t>& popularity)
    : group_(group), popularity_(popularity), cutoffs_(std::move(cutoffs)) {
  for (const std::size_t metric : metrics) {
    (metric < user_metrics ? of_users_ : of_lists_).push_back(metric);
    for (const std::int64_t cutoff : cutoffs_) {
      if (metric < user_metrics) result_.by_user.names.push_back({metric, cutoff});
    }
  }
  if (!of_lists_.empty()) shown_.assign(cutoffs_.size(), std::vector<std::uint32_t>(popularity.size()));
  result_.items = group.items.empty() ? static_cast<std::int64_t>(popularity.size())
                                      : std::count(group.items.begin(), group.items.end(), true);
}

void GroupEvaluation::add(std::int64_t user, ConstIndexView ranked, ConstIndexView held_out) {
  if (!group_.has_user(user)) return;
  if (!of_lists_.empty()) count_shown(ranked);
  std::vector<std::int32_t> relevant;
  std::copy_if(held_out.begin(), held_out.end(), std::back_inserter(relevant),
               [&](std::int32_t item) { return group_.has_item(item); });
  if (relevant.empty()) return;
  result_.pairs += static_cast<std::int64_t>(relevant.size());
  result_.by_user.users.push_back(static_cast<std::int32_t>(user));
  std::vector<ListMetrics> metrics;
  for (const std::int64_t cutoff : cutoffs_) metrics.push_back(list_metrics(ranked, relevant, cutoff));
  // In the order of `metric_titles`.
  constexpr double ListMetrics::*members[] = {&ListMetrics::recall,    &ListMetrics::ndcg,
                                              &ListMetrics::precision, &ListMetrics::average_precision,
                                              &ListMetrics::hit,       &ListMetrics::reciprocal_rank};
  for (const std::size_t metric : of_users_) {
    for (std::size_t i = 0; i < cutoffs_.size(); ++i) {
      result_.by_user.values.push_back(metric < std::size(members)
                                           ? metrics[i].*members[metric]
                                           : mean_popularity(ranked, cutoffs_[i], popularity_));
    }
  }
}

void GroupEvaluation::count_shown(ConstIndexView ranked) {
  std::size_t cutoff = 0;
  for (std::size_t i = 0; i < ranked.size() && ranked[i] >= 0; ++i) {
    while (cutoff < cutoffs_.size() && static_cast<std::int64_t>(i) >= cutoffs_[cutoff]) ++cutoff;
    if (cutoff == cutoffs_.size()) return;
    ++shown_[cutoff][static_cast<std::size_t>(ranked[i])];
  }
}

void GroupEvaluation::add_list_metrics(GroupMetrics& result) const {
  std::vector<std::vector<double>> values(2);
  std::vector<std::int64_t> total(popularity_.size());
  for (std::size_t i = 0; i < cutoffs_.size(); ++i) {
    std::vector<std::int64_t> counts;
    for (std::size_t item = 0; item < total.size(); ++item) {
      total[item] += shown_[i][item];
      if (group_.has_item(static_cast<std::int64_t>(item))) counts.push_back(total[item]);
    }
    const auto shown = counts.size() - static_cast<std::size_t>(std::count(counts.begin(), counts.end(), 0));
    values[0].push_back(static_cast<double>(shown) / static_cast<double>(counts.size()));
    values[1].push_back(gini(std::move(counts)));
  }
  for (const std::size_t metric : of_lists_) {
    for (std::size_t i = 0; i < cutoffs_.size(); ++i)
      result.metrics.values.emplace_back(MetricName{metric, cutoffs_[i]}.key(),
                                         values[metric - user_metrics][i]);
  }
}

GroupMetrics GroupEvaluation::result() const {
  GroupMetrics result = result_;
  const std::vector<double> means = result.by_user.means();
  for (std::size_t i = 0; i < means.size(); ++i)
    result.metrics.values.emplace_back(result.by_user.names[i].key(), means[i]);
  result.metrics.users = result.by_user.rows();
  if (!of_lists_.empty()) add_list_metrics(result);
  return result;
}

}  // namespace sea
