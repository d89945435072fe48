// Metrics beyond the training's, and by groups: cases by hand, and every definition again, naively.

#include "training/group_evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/random_stream.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace sea;

namespace {

using Rows = std::vector<std::set<std::int32_t>>;

HostCsr to_csr(const Rows& rows, std::int64_t columns) {
  HostCsr csr;
  csr.rows = static_cast<std::int64_t>(rows.size());
  csr.columns = columns;
  for (const auto& row : rows) {
    csr.column_indices.insert(csr.column_indices.end(), row.begin(), row.end());
    csr.row_offsets.push_back(csr.nonzeros());
  }
  return csr;
}

using Lists = std::vector<std::vector<std::int32_t>>;

GroupMetrics evaluate(const EvaluationGroup& group, const std::string& metrics,
                      const std::vector<std::int64_t>& cutoffs, const std::vector<std::int64_t>& popularity,
                      const Lists& lists, const HostCsr& held_out) {
  GroupEvaluation evaluation(group, parse_metrics(metrics, "here"), cutoffs, popularity);
  for (std::size_t user = 0; user < lists.size(); ++user) {
    const auto number = static_cast<std::int64_t>(user);
    if (!held_out.row(number).empty()) evaluation.add(number, lists[user], held_out.row(number));
  }
  return evaluation.result();
}

/// The value of a metric for one group, from its definition, in no hurry.
double naive(const MetricName& name, const EvaluationGroup& group,
             const std::vector<std::int64_t>& popularity, const Lists& lists, const Rows& held_out) {
  const auto in = [](const std::vector<bool>& set, std::size_t i) { return set.empty() || set[i]; };
  double sum = 0.0, users = 0.0;
  std::map<std::int32_t, double> shown;
  for (std::size_t item = 0; item < popularity.size(); ++item) {
    if (in(group.items, item)) shown[static_cast<std::int32_t>(item)] = 0.0;
  }
  for (std::size_t user = 0; user < lists.size(); ++user) {
    if (held_out[user].empty() || !in(group.users, user)) continue;
    std::vector<std::int32_t> list;
    for (const std::int32_t item : lists[user]) {
      if (item >= 0 && static_cast<std::int64_t>(list.size()) < name.cutoff) list.push_back(item);
    }
    for (const std::int32_t item : list) {
      if (shown.count(item) != 0) shown[item] += 1.0;
    }
    std::set<std::int32_t> relevant;
    for (const std::int32_t item : held_out[user]) {
      if (in(group.items, static_cast<std::size_t>(item))) relevant.insert(item);
    }
    if (relevant.empty()) continue;
    users += 1.0;
    double hits = 0.0, precisions = 0.0, gain = 0.0, ideal = 0.0, first = 0.0, popular = 0.0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      popular += static_cast<double>(popularity[static_cast<std::size_t>(list[i])]) /
                 static_cast<double>(list.size());
      if (relevant.count(list[i]) == 0) continue;
      hits += 1.0;
      precisions += hits / (static_cast<double>(i) + 1.0);
      gain += 1.0 / std::log2(static_cast<double>(i) + 2.0);
      if (first == 0.0) first = 1.0 / (static_cast<double>(i) + 1.0);
    }
    const double most = std::min(static_cast<double>(name.cutoff), static_cast<double>(relevant.size()));
    for (double rank = 1.0; rank <= most; rank += 1.0) ideal += 1.0 / std::log2(rank + 1.0);
    const double values[] = {hits / static_cast<double>(relevant.size()),
                             gain / ideal,
                             hits / static_cast<double>(name.cutoff),
                             precisions / most,
                             hits > 0.0 ? 1.0 : 0.0,
                             first,
                             popular};
    if (name.metric < user_metrics) sum += values[name.metric];
  }
  if (name.metric < user_metrics) return sum / users;
  double differences = 0.0, total = 0.0, some = 0.0;
  for (const auto& [a, count] : shown) {
    total += count;
    some += count > 0.0 ? 1.0 : 0.0;
    for (const auto& [b, other] : shown) differences += std::abs(count - other);
  }
  const double items = static_cast<double>(shown.size());
  // Gini's coefficient: half the mean difference of two items, relative to the mean.
  return metric_titles[name.metric] == "ItemCoverage" ? some / items : differences / (2.0 * items * total);
}

}  // namespace

TEST_CASE("metrics: hit, first rank, coverage, Gini and popularity as RecBole computes them", "[metrics]") {
  // The constants are what RecBole's formulas gave for these lists.
  const Lists lists = {{3, 0, 5, 1}, {0, 3, 2, 6}, {0, 5, 3, 7}};
  const HostCsr held_out = to_csr({{1, 4, 5}, {2}, {4, 6}}, 8);
  const std::vector<std::int64_t> popularity = {5, 2, 1, 4, 0, 3, 1, 0};
  const GroupMetrics found = evaluate({"all", "all"}, "all", {1, 2, 4}, popularity, lists, held_out);
  CHECK(found.by_user.rows() == 3);
  CHECK(found.items == 8);
  CHECK(found.pairs == 6);
  const Metrics& metrics = found.metrics;
  CHECK(metrics.values.size() == 27);
  CHECK(metrics.at("hit@2") == 0.0);
  CHECK(metrics.at("hit@4") == Approx(2.0 / 3.0));
  CHECK(metrics.at("mrr@2") == 0.0);
  CHECK(metrics.at("mrr@4") == Approx((1.0 / 3.0 + 1.0 / 3.0) / 3.0));
  CHECK(metrics.at("itemcoverage@1") == 0.25);
  CHECK(metrics.at("itemcoverage@2") == 0.375);
  CHECK(metrics.at("itemcoverage@4") == 0.875);
  CHECK(metrics.at("giniindex@1") == Approx(0.79166666666666663));
  CHECK(metrics.at("giniindex@2") == Approx(0.70833333333333337));
  CHECK(metrics.at("giniindex@4") == Approx(0.35416666666666669));
  CHECK(metrics.at("averagepopularity@1") == Approx(4.666666666666667));
  CHECK(metrics.at("averagepopularity@2") == Approx(4.333333333333333));
  CHECK(metrics.at("averagepopularity@4") == Approx(3.0833333333333335));
  // A table of users: recall, ..., popularity, three cut-offs each.
  CHECK(found.by_user.names.size() == 21);
  CHECK(found.by_user.values.size() == 63);
  CHECK(found.by_user.values[2] == Approx(2.0 / 3.0));  // recall@4 of user 0: 5 and 1 of three
}

TEST_CASE("metrics: lists that end early, and nothing to show", "[metrics]") {
  const std::vector<std::int64_t> popularity = {4, 2, 0};
  const HostCsr held_out = to_csr({{1}, {0}}, 3);
  const GroupMetrics found = evaluate({"all", "all"}, "averagepopularity,itemcoverage,giniindex,hit", {2, 5},
                                      popularity, {{1, -1, -1}, {-1, -1, -1}}, held_out);
  CHECK(found.metrics.at("averagepopularity@5") == 1.0);  // 2 and, without a list, 0
  CHECK(found.metrics.at("hit@2") == 0.5);
  CHECK(found.metrics.at("itemcoverage@5") == Approx(1.0 / 3.0));
  CHECK(found.metrics.at("giniindex@5") == Approx(2.0 / 3.0));
  // Of items that nobody was shown, and of users who are not there, there is no number.
  EvaluationGroup unseen{"cold", "cold"};
  unseen.items = {false, false, true};
  const GroupMetrics none =
      evaluate(unseen, "hit,itemcoverage,giniindex", {2}, popularity, {{1, -1, -1}, {-1, -1, -1}}, held_out);
  CHECK(none.by_user.rows() == 0);
  CHECK(none.pairs == 0);
  CHECK(std::isnan(none.metrics.at("hit@2")));
  CHECK(none.metrics.at("itemcoverage@2") == 0.0);
  CHECK(std::isnan(none.metrics.at("giniindex@2")));
}

TEST_CASE("groups: fifths of the items, cold items, short and long histories", "[metrics]") {
  // Popularity of the items: 3 1 0 2 1 2 1 (six of them warm).
  const HostCsr train = to_csr({{0, 1, 3}, {0, 3, 5}, {0, 5, 4, 6}, {}, {}}, 7);
  const HostCsr held_out = to_csr({{2}, {4}, {1}, {0}, {}}, 7);
  CHECK(item_popularity(train) == std::vector<std::int64_t>{3, 1, 0, 2, 1, 2, 1});
  const std::vector<EvaluationGroup> groups =
      evaluation_groups({"history", "popularity", "cold"}, train, held_out);
  REQUIRE(groups.size() == 8);
  const auto members = [](const std::vector<bool>& set) {
    std::vector<int> list;
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (set[i]) list.push_back(static_cast<int>(i));
    }
    return list;
  };
  // By popularity: 0, 3, 5, 1, 4, 6; the borders fall at 0, 1, 2, 3, 4 and 6.
  const std::vector<std::vector<int>> fifths = {{0}, {3}, {5}, {1}, {4, 6}};
  const std::vector<std::int64_t> pairs = {3, 2, 2, 1, 1};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(groups[i].name == "popularity-" + std::to_string(i + 1));
    CHECK(groups[i].by == "popularity");
    CHECK(members(groups[i].items) == fifths[i]);
    CHECK(groups[i].users.empty());
    CHECK(groups[i].fewest_pairs == pairs[i]);
    CHECK(groups[i].most_pairs == pairs[i]);
  }
  CHECK(groups[5].name == "cold");
  CHECK(members(groups[5].items) == std::vector<int>{2});
  // Histories of the users with held-out items: 3, 3, 4, 0; the lower median is 3.
  CHECK(groups[6].name == "history-short");
  CHECK(members(groups[6].users) == std::vector<int>{0, 1, 3});
  CHECK(groups[6].fewest_pairs == 0);
  CHECK(groups[6].most_pairs == 3);
  CHECK(groups[7].name == "history-long");
  CHECK(members(groups[7].users) == std::vector<int>{2});
  CHECK(groups[7].fewest_pairs == 4);
  CHECK(evaluation_groups({"cold"}, train, held_out).size() == 1);
}

TEST_CASE("metrics: every one of every group equals its definition", "[metrics]") {
  constexpr std::int32_t users = 40, items = 30;
  RandomStream random(11, 0);
  Rows train(users), held_out(users);
  Lists lists(users);
  for (std::int32_t user = 0; user < users; ++user) {
    const auto at = static_cast<std::size_t>(user);
    const std::uint32_t history = 1 + random.below(9);
    for (std::uint32_t i = 0; i < history; ++i) {
      // Small numbers more often; the last items never.
      const std::uint32_t bound = 1 + random.below(items - 4);
      train[at].insert(static_cast<std::int32_t>(random.below(bound)));
    }
    const std::uint32_t count = random.below(4);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto item = static_cast<std::int32_t>(random.below(items));
      if (train[at].count(item) == 0) held_out[at].insert(item);
    }
    std::set<std::int32_t> listed;
    while (listed.size() < 12) {
      const auto item = static_cast<std::int32_t>(random.below(items));
      if (train[at].count(item) == 0 && listed.insert(item).second) lists[at].push_back(item);
    }
    if (user == 5) lists[at].assign(12, -1);
    if (user == 6) std::fill(lists[at].begin() + 3, lists[at].end(), -1);
  }
  const HostCsr train_csr = to_csr(train, items), held_out_csr = to_csr(held_out, items);
  const std::vector<std::int64_t> popularity = item_popularity(train_csr);
  std::vector<EvaluationGroup> groups =
      evaluation_groups({"popularity", "cold", "history"}, train_csr, held_out_csr);
  groups.push_back({"all", "all"});
  for (const EvaluationGroup& group : groups) {
    const GroupMetrics found = evaluate(group, "all", {1, 3, 10, 12}, popularity, lists, held_out_csr);
    REQUIRE(found.by_user.rows() > 0);
    for (const auto& [key, value] : found.metrics.values) {
      INFO(group.name << " " << key);
      CHECK(value == Approx(naive(*parse_metric(key), group, popularity, lists, held_out)).epsilon(1e-12));
    }
  }
}

TEST_CASE("metrics: names", "[metrics]") {
  CHECK(parse_metrics("mrr,Recall", "here") == std::vector<std::size_t>{0, 5});
  CHECK(parse_metrics("ALL", "here").size() == metric_titles.size());
  using sea::test::contains;
  CHECK(contains(sea::test::error_of([] { parse_metrics("recall,f1", "--metrics recall,f1"); }),
                 "--metrics recall,f1: there is no metric 'f1'; there are recall, ndcg"));
  CHECK(contains(sea::test::error_of([] { parse_metrics("hit,hit", "here"); }), "twice"));
  CHECK(contains(sea::test::error_of([] { parse_metrics("", "here"); }), "there is no metric ''"));
}
