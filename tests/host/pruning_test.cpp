#include "data/pruning.hpp"

#include <algorithm>
#include <cmath>

#include "data/graph.hpp"
#include "support/catch.hpp"
#include "support/chi_square.hpp"

using namespace sea;

namespace {

/// User u has the items 0..sizes[u] - 1.
HostCsr staircase(const std::vector<int>& sizes, std::int64_t items) {
  HostCsr train;
  train.rows = static_cast<std::int64_t>(sizes.size());
  train.columns = items;
  for (const int size : sizes) {
    for (std::int32_t item = 0; item < size; ++item) train.column_indices.push_back(item);
    train.row_offsets.push_back(train.nonzeros());
  }
  return train;
}

/// How often each pair of `train` was kept in `epochs` epochs.
std::vector<std::int64_t> times_kept(const HostCsr& train, std::int64_t count, KeptPairs kept,
                                     std::int64_t epochs) {
  std::vector<std::int64_t> times(train.column_indices.size());
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    const HostCsr pruned = prune_pairs(train, count, kept, 7, epoch);
    for (std::int64_t user = 0; user < train.rows; ++user) {
      const ConstIndexView all = train.row(user);
      for (const std::int32_t item : pruned.row(user))
        ++times[train.row_offsets[user] + (std::find(all.begin(), all.end(), item) - all.begin())];
    }
  }
  return times;
}

}  // namespace

TEST_CASE("pruning: how many pairs stay", "[pruning]") {
  CHECK(kept_pair_count(1000, 0.0) == 1000);
  CHECK(kept_pair_count(1000, 0.1) == 900);
  CHECK(kept_pair_count(999, 0.5) == 499);
  CHECK(kept_pair_count(3, 0.99) == 1);
}

TEST_CASE("pruning: distinct pairs of the training set, another choice in every epoch and seed",
          "[pruning]") {
  const HostCsr train = staircase({5, 0, 12, 1, 9, 3}, 12);
  for (const KeptPairs kept : {KeptPairs::uniform, KeptPairs::by_degree}) {
    const HostCsr pruned = prune_pairs(train, 11, kept, 3, 4);
    CHECK(pruned.rows == 6);
    CHECK(pruned.columns == 12);
    CHECK(pruned.nonzeros() == 11);
    for (std::int64_t user = 0; user < 6; ++user) {
      const ConstIndexView before = train.row(user), after = pruned.row(user);
      CHECK(std::adjacent_find(after.begin(), after.end(), std::greater_equal<>()) == after.end());
      CHECK(std::includes(before.begin(), before.end(), after.begin(), after.end()));
    }
    const auto same = [&](const HostCsr& other) {
      return other.row_offsets == pruned.row_offsets && other.column_indices == pruned.column_indices;
    };
    CHECK(same(prune_pairs(train, 11, kept, 3, 4)));
    CHECK(!same(prune_pairs(train, 11, kept, 3, 5)));
    CHECK(!same(prune_pairs(train, 11, kept, 4, 4)));
    const HostCsr all = prune_pairs(train, train.nonzeros(), kept, 3, 4);
    CHECK(all.row_offsets == train.row_offsets);
    CHECK(all.column_indices == train.column_indices);
  }
}

TEST_CASE("pruning: uniform keeps every pair equally often", "[pruning]") {
  const HostCsr train = staircase({1, 20, 7, 40, 2, 30}, 40);
  const std::vector<std::int64_t> times = times_kept(train, 30, KeptPairs::uniform, 4000);
  CHECK(sea::test::chi_square_excess(times) < 5.0);
  CHECK(*std::min_element(times.begin(), times.end()) > 0);
}

TEST_CASE("pruning: by degree keeps pairs as successive draws of their weights do", "[pruning]") {
  // Degrees: users 4, 1; items 2, 1, 1, 1. Weights 1/sqrt(8), 1/2, 1/2, 1/2 and 1/sqrt(2).
  const HostCsr train = staircase({4, 1}, 4);
  const std::vector<double> weights{1.0 / std::sqrt(8.0), 0.5, 0.5, 0.5, 1.0 / std::sqrt(2.0)};
  double total = 0.0;
  for (const double weight : weights) total += weight;
  constexpr std::int64_t epochs = 40000;
  const std::vector<std::int64_t> once = times_kept(train, 1, KeptPairs::by_degree, epochs);
  const std::vector<std::int64_t> twice = times_kept(train, 2, KeptPairs::by_degree, epochs);
  for (std::size_t pair = 0; pair < weights.size(); ++pair) {
    const double first = weights[pair] / total;
    double either = first;
    for (std::size_t other = 0; other < weights.size(); ++other) {
      if (other != pair) either += weights[other] / total * weights[pair] / (total - weights[other]);
    }
    const auto within = [&](std::int64_t count, double probability) {
      const double deviation = std::sqrt(epochs * probability * (1.0 - probability));
      return std::abs(static_cast<double>(count) - epochs * probability) < 4.0 * deviation;
    };
    CHECK(within(once[pair], first));
    CHECK(within(twice[pair], either));
  }
}

TEST_CASE("pruning: what is left is normalised by its own degrees", "[pruning]") {
  const HostCsr train = staircase({6, 2, 5, 6}, 6);
  const HostCsr pruned = prune_pairs(train, 9, KeptPairs::uniform, 1, 0);
  const HostCsr graph = interaction_graph(pruned);
  CHECK(graph.nonzeros() == 18);
  std::vector<double> item_degrees(6);
  for (const std::int32_t item : pruned.column_indices) ++item_degrees[item];
  for (std::int64_t user = 0; user < 4; ++user) {
    for (std::int64_t e = graph.row_offsets[user]; e < graph.row_offsets[user + 1]; ++e) {
      const std::int64_t item = graph.column_indices[e] - 4;
      const double degrees = static_cast<double>(pruned.row(user).size()) * item_degrees[item];
      CHECK(graph.values[e] == Approx(1.0 / std::sqrt(degrees)));
    }
  }
}
