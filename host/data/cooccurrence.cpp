#include "data/cooccurrence.hpp"

#include <algorithm>
#include <cmath>

#include "data/graph.hpp"
#include "sea/philox.hpp"

namespace sea {

Cooccurrence count_cooccurrence(const HostCsr& train, std::int64_t limit, const HostCsr& joined) {
  const HostCsr by_item = transpose(train);
  Cooccurrence lists;
  std::vector<std::int32_t> counts(static_cast<std::size_t>(train.rows)), others;
  for (std::int64_t user = 0; user < train.rows; ++user) {
    others.clear();
    const bool joins = joined.rows > 0 && train.row(user).empty();
    for (const std::int32_t item : joins ? joined.row(user) : train.row(user)) {
      for (const std::int32_t other : by_item.row(item)) {
        if (counts[other]++ == 0 && other != user) others.push_back(other);
      }
    }
    counts[user] = 0;
    const auto kept = std::min(static_cast<std::int64_t>(others.size()), limit);
    std::partial_sort(others.begin(), others.begin() + kept, others.end(),
                      [&](std::int32_t a, std::int32_t b) {
                        return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
                      });
    for (std::int64_t i = 0; i < kept; ++i) {
      lists.neighbours.push_back(others[i]);
      lists.counts.push_back(counts[others[i]]);
    }
    lists.row_offsets.push_back(static_cast<std::int64_t>(lists.neighbours.size()));
    for (const std::int32_t other : others) counts[other] = 0;
  }
  return lists;
}

HostCsr sample_user_graph(const Cooccurrence& lists, std::int64_t k, std::uint64_t seed, std::int64_t epoch) {
  HostCsr graph;
  graph.rows = graph.columns = lists.users();
  std::vector<std::int64_t> places;  // in the lists
  for (std::int64_t user = 0; user < graph.rows; ++user) {
    const std::int64_t first = lists.row_offsets[user], count = lists.row_offsets[user + 1] - first;
    places.clear();
    for (std::int64_t i = 0; i < std::min(count, k); ++i) places.push_back(first + i);
    while (!places.empty() && static_cast<std::int64_t>(places.size()) < k) {
      const auto grown = static_cast<std::uint32_t>(places.size());
      const Philox4x32 bits = random_bits(seed, RandomPurpose::prune, epoch, user, grown);
      places.push_back(places[uniform_below(bits, grown)]);
    }
    double sum = 0.0;
    for (const std::int64_t place : places) sum += std::exp(lists.counts[place] - lists.counts[first]);
    for (const std::int64_t place : places) {
      graph.column_indices.push_back(lists.neighbours[place]);
      graph.values.push_back(static_cast<float>(std::exp(lists.counts[place] - lists.counts[first]) / sum));
    }
    graph.row_offsets.push_back(graph.nonzeros());
  }
  return graph;
}

}  // namespace sea
