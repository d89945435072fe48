#include "data/cooccurrence.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "support/catch.hpp"

using namespace sea;

namespace {

HostCsr random_train(std::int64_t users, std::int64_t items, int one_in) {
  std::mt19937 random(11);
  HostCsr train;
  train.rows = users;
  train.columns = items;
  for (std::int64_t user = 0; user < users; ++user) {
    for (std::int32_t item = 0; item < items; ++item) {
      if (user != 3 && random() % static_cast<unsigned>(one_in) == 0) train.column_indices.push_back(item);
    }
    train.row_offsets.push_back(train.nonzeros());
  }
  return train;
}

/// Pair by pair.
std::vector<std::pair<std::int32_t, std::int32_t>> naive_list(const HostCsr& train, std::int64_t user) {
  std::vector<std::pair<std::int32_t, std::int32_t>> list;  // (-count, user)
  const ConstIndexView mine = train.row(user);
  for (std::int64_t other = 0; other < train.rows; ++other) {
    std::vector<std::int32_t> common;
    const ConstIndexView theirs = train.row(other);
    std::set_intersection(mine.begin(), mine.end(), theirs.begin(), theirs.end(), std::back_inserter(common));
    if (other != user && !common.empty())
      list.emplace_back(-static_cast<std::int32_t>(common.size()), static_cast<std::int32_t>(other));
  }
  std::sort(list.begin(), list.end());
  return list;
}

}  // namespace

TEST_CASE("cooccurrence: the lists of pairs counted one by one, cut at the limit") {
  const HostCsr train = random_train(60, 40, 9);
  for (const std::int64_t limit : {1, 7, 200}) {
    const Cooccurrence lists = count_cooccurrence(train, limit);
    REQUIRE(lists.users() == train.rows);
    for (std::int64_t user = 0; user < train.rows; ++user) {
      auto expected = naive_list(train, user);
      if (static_cast<std::int64_t>(expected.size()) > limit)
        expected.resize(static_cast<std::size_t>(limit));
      const std::int64_t first = lists.row_offsets[user];
      REQUIRE(lists.row_offsets[user + 1] - first == static_cast<std::int64_t>(expected.size()));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(lists.counts[first + i] == -expected[i].first);
        CHECK(lists.neighbours[first + i] == expected[i].second);
      }
    }
    CHECK(lists.row_offsets[4] == lists.row_offsets[3]);  // a user without history
  }
}

TEST_CASE("cooccurrence: a user graph's rows are the first neighbours, or all of them and copies") {
  const Cooccurrence lists = count_cooccurrence(random_train(60, 40, 14), 200);
  constexpr std::int64_t k = 12;
  bool some_short = false, some_long = false;
  for (const std::int64_t epoch : {0, 1}) {
    const HostCsr graph = sample_user_graph(lists, k, 5, epoch);
    for (std::int64_t user = 0; user < graph.rows; ++user) {
      const std::int64_t first = lists.row_offsets[user], count = lists.row_offsets[user + 1] - first;
      REQUIRE(graph.row_offsets[user + 1] - graph.row_offsets[user] == (count == 0 ? 0 : k));
      const auto row = graph.row(user);
      double sum = 0.0;
      for (std::int64_t i = 0; i < std::ssize(row); ++i) {
        if (i < count) CHECK(row[i] == lists.neighbours[first + i]);
        const auto begin = lists.neighbours.begin() + first;
        const auto found = std::find(begin, begin + count, row[i]);
        REQUIRE(found != begin + count);
        sum += std::exp(lists.counts[found - lists.neighbours.begin()]);
      }
      for (std::int64_t i = 0; i < std::ssize(row); ++i) {
        const auto place = std::find(lists.neighbours.begin() + first, lists.neighbours.end(), row[i]);
        CHECK(graph.values[graph.row_offsets[user] + i] ==
              Approx(std::exp(lists.counts[place - lists.neighbours.begin()]) / sum).epsilon(1e-6));
      }
      some_short = some_short || (count > 0 && count < k);
      some_long = some_long || count > k;
    }
    CHECK((graph.column_indices == sample_user_graph(lists, k, 5, epoch).column_indices));
    CHECK((graph.column_indices != sample_user_graph(lists, k, 6, epoch).column_indices));
    CHECK((graph.column_indices != sample_user_graph(lists, k, 5, epoch + 1).column_indices));
  }
  CHECK(some_short);
  CHECK(some_long);
}

TEST_CASE("cooccurrence: copies are drawn from the row as it has grown") {
  // One user with two neighbours and k = 4: with a first copy of the first neighbour, the second copy is that
  // one in two of three draws. The number of first neighbours among the copies is 0, 1 or 2 equally often.
  Cooccurrence lists;
  lists.row_offsets = {0, 2, 2, 2};
  lists.neighbours = {1, 2};
  lists.counts = {1, 1};
  std::vector<std::int64_t> times(3);
  constexpr std::int64_t epochs = 3000;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    const HostCsr graph = sample_user_graph(lists, 4, 999, epoch);
    ++times[static_cast<std::size_t>((graph.column_indices[2] == 1) + (graph.column_indices[3] == 1))];
  }
  for (const std::int64_t count : times) {
    CHECK(count > epochs / 3 - 130);  // five standard deviations
    CHECK(count < epochs / 3 + 130);
  }
}
