#include "data/pruning.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sea/philox.hpp"

namespace sea {

std::int64_t kept_pair_count(std::int64_t pairs, double dropout) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(pairs) * (1.0 - dropout)));
}

HostCsr prune_pairs(const HostCsr& train, std::int64_t count, KeptPairs kept, std::uint64_t seed,
                    std::int64_t epoch) {
  std::vector<std::int64_t> item_degrees(static_cast<std::size_t>(train.columns));
  for (const std::int32_t item : train.column_indices) ++item_degrees[item];

  // Exponential waiting times whose rates are the weights: the `count` that come first are a sample without
  // replacement (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
  std::vector<std::pair<double, std::int64_t>> times;
  times.reserve(train.column_indices.size());
  for (std::int64_t user = 0; user < train.rows; ++user) {
    const auto user_degree = static_cast<double>(train.row(user).size());
    for (std::int64_t pair = train.row_offsets[user]; pair < train.row_offsets[user + 1]; ++pair) {
      const Philox4x32 bits = random_bits(seed, RandomPurpose::prune, epoch, pair);
      const double uniform = (bits.word[0] + (bits.word[1] + 0.5) * 0x1p-32) * 0x1p-32;  // in (0, 1]
      double time = -std::log(uniform);
      if (kept == KeptPairs::by_degree)
        time *= std::sqrt(user_degree * static_cast<double>(item_degrees[train.column_indices[pair]]));
      times.emplace_back(time, pair);
    }
  }
  if (count < train.nonzeros()) std::nth_element(times.begin(), times.begin() + count, times.end());
  std::vector<bool> is_kept(times.size());
  for (std::int64_t i = 0; i < count; ++i) is_kept[times[i].second] = true;

  HostCsr pruned;
  pruned.rows = train.rows;
  pruned.columns = train.columns;
  pruned.row_offsets.reserve(train.row_offsets.size());
  pruned.column_indices.reserve(static_cast<std::size_t>(count));
  for (std::int64_t user = 0; user < train.rows; ++user) {
    for (std::int64_t pair = train.row_offsets[user]; pair < train.row_offsets[user + 1]; ++pair) {
      if (is_kept[pair]) pruned.column_indices.push_back(train.column_indices[pair]);
    }
    pruned.row_offsets.push_back(pruned.nonzeros());
  }
  return pruned;
}

}  // namespace sea
