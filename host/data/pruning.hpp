#pragma once

#include <cstdint>

#include "data/host_matrix.hpp"

namespace sea {

/// How probable it is that a pair of a user and an item is kept: all alike, or proportional to
/// `1 / sqrt(degree(u) degree(i))`, so that pairs of popular ends go first.
enum class KeptPairs { uniform, by_degree };

/// The number of pairs that are kept where a share `dropout` in [0, 1) of them is pruned; at least 1.
std::int64_t kept_pair_count(std::int64_t pairs, double dropout);

/// `count` of the pairs of `train`, drawn without replacement for one epoch: as if one after the other were
/// taken with the probabilities of `kept` among those that are left. A pure function of its arguments.
HostCsr prune_pairs(const HostCsr& train, std::int64_t count, KeptPairs kept, std::uint64_t seed,
                    std::int64_t epoch);

}  // namespace sea
