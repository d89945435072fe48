#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace sea::test {

/// Streams of scores, with all that can go wrong in them.
inline std::vector<std::vector<float>> score_streams() {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  infinity = std::numeric_limits<float>::infinity();
  std::vector<float> ascending(1500), equal(1500, 0.25f), zeros(1500), random(3001), rare(3001, nan);
  for (int i = 0; i < 1500; ++i) {
    ascending[i] = static_cast<float>(i);
    zeros[i] = i % 3 == 0 ? 0.0f : -0.0f;
  }
  for (int i = 0; i < 3001; ++i) {
    const float value = std::sin(static_cast<float>(i) * 12.9898f) * 43758.5f;
    random[i] = value - std::floor(value);
    if (i % 7 == 0) random[i] = static_cast<float>(i % 5) / 4.0f;  // many equals
    if (i % 97 == 0) rare[i] = static_cast<float>(i);
    if (i % 101 == 0) rare[i] = -infinity;
  }
  std::vector<float> descending(ascending.rbegin(), ascending.rend());
  return {ascending, descending, equal, zeros, random, rare, {}, {1.0f}};
}

/// What `Candidates` keeps of a stream must be what a sort keeps, whatever pieces the stream comes in. The
/// arrays hold exactly what `capacity` says, so that a sanitizer sees more.
template <class Candidates>
void check_candidates() {
  for (const std::vector<float>& stream : score_streams()) {
    for (const std::int64_t wanted : {1, 15, 16, 17, 66, 300}) {
      for (const std::int64_t piece : {1, 16, 100, 512}) {
        const auto capacity = static_cast<std::size_t>(Candidates::capacity(wanted));
        std::vector<float> scores(capacity);
        std::vector<std::int32_t> ids(capacity);
        Candidates candidates(scores.data(), ids.data(), wanted);
        const auto count = static_cast<std::int64_t>(stream.size());
        for (std::int64_t first = 0; first < count; first += piece) {
          const std::int64_t size = std::min(piece, count - first);
          std::vector<float> part(static_cast<std::size_t>((size + 15) / 16 * 16));
          std::copy_n(stream.begin() + first, size, part.begin());
          candidates.add(part.data(), size, static_cast<std::int32_t>(first));
        }
        candidates.finish();

        std::vector<std::int32_t> order;
        for (std::int32_t i = 0; i < count; ++i) {
          if (stream[i] > -std::numeric_limits<float>::infinity()) order.push_back(i);
        }
        std::stable_sort(order.begin(), order.end(),
                         [&](std::int32_t a, std::int32_t b) { return stream[a] > stream[b]; });
        const auto kept = std::min(static_cast<std::size_t>(wanted), order.size());
        CAPTURE(wanted, piece, count);
        REQUIRE(static_cast<std::size_t>(candidates.count()) == kept);
        std::vector<std::int32_t> found;
        for (std::int64_t i = 0; i < candidates.count(); ++i) found.push_back(candidates.id(i));
        CHECK(std::is_sorted(found.begin(), found.end()));
        CHECK(std::set(found.begin(), found.end()) == std::set(order.begin(), order.begin() + kept));
        // No score that was left out is above the threshold.
        for (std::size_t i = kept; i < order.size(); ++i)
          CHECK_FALSE(stream[order[i]] > candidates.threshold());
      }
    }
  }
}

}  // namespace sea::test
