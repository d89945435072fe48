#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/host_matrix.hpp"

namespace sea {

/// Called now and then with what is being made and how much of it is done, 0 to 1. May throw to stop the
/// work.
using SynthProgress = std::function<void(const char* what, double share)>;

/// Made-up interactions and what lies behind them.
struct Planted {
  /// Distinct items of each user, in random order: row u is `items[offsets[u] .. offsets[u + 1])`.
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> items;
  /// items x 24 each: what both modalities show, what only this one shows, and looks that nobody cares about.
  HostMatrix visual_traits, textual_traits;
};

/// Plants interactions: an item has traits of four kinds (shown by both modalities, by one of them, by none),
/// a user two interests and a leaning to looks or to words, and items are drawn by popularity, which is
/// long-tailed, and by taste. Every user has at least 3 items and every item a user. Needs 3 users <=
/// interactions <= users items / 2 and interactions >= items.
Planted plant(std::int64_t users, std::int64_t items, std::int64_t interactions, std::uint64_t seed,
              const SynthProgress& progress);

}  // namespace sea
