#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/host_matrix.hpp"

namespace sea {

/// For each user the other users who share training items with it, the largest number of common items first,
/// of equal numbers the lower id first.
struct Cooccurrence {
  std::vector<std::int64_t> row_offsets{0};
  std::vector<std::int32_t> neighbours;
  std::vector<std::int32_t> counts;  ///< of common items, parallel to `neighbours`

  std::int64_t users() const { return static_cast<std::int64_t>(row_offsets.size()) - 1; }
};

/// At most `limit` neighbours per user. A sparse product of histories, row by row with a counting array: time
/// is the sum over the pairs of their items' degrees. Users of `joined` (users x items, or no rows) have
/// neighbours among the others, and are nobody's.
Cooccurrence count_cooccurrence(const HostCsr& train, std::int64_t limit, const HostCsr& joined = {});

/// An epoch's user graph (users x users) with `k` entries in each row: a user's first k neighbours, or all of
/// them and then copies, each drawn uniformly from the row as it has grown so far; a user without neighbours
/// has an empty row. Values are the softmax of the row's counts. A copy is an entry of its own, so that every
/// epoch has as many. DualGNN.
HostCsr sample_user_graph(const Cooccurrence& lists, std::int64_t k, std::uint64_t seed, std::int64_t epoch);

}  // namespace sea
