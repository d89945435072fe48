#include "training/recommend.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "sea/buffer.hpp"
#include "sea/device_csr.hpp"

namespace sea {

namespace {

constexpr std::int64_t block_users = 1024;

/// The items that are ranked: all, or some, which then have numbers of their own.
class Ranked {
 public:
  Ranked(const Dataset& dataset, ConstIndexView candidates)
      : candidates_(candidates), count_(static_cast<std::int64_t>(candidates.size())) {
    if (candidates.empty()) count_ = dataset.items;
  }
  std::int64_t count() const { return count_; }
  std::int32_t item(std::int32_t place) const {
    return candidates_.empty() ? place : candidates_[static_cast<std::size_t>(place)];
  }
  /// Their places among ascending items.
  std::vector<std::int32_t> places(std::vector<std::int32_t> items) const {
    if (candidates_.empty()) return items;
    std::vector<std::int32_t> found;
    for (const std::int32_t id : items) {
      const auto place = std::lower_bound(candidates_.begin(), candidates_.end(), id);
      if (place != candidates_.end() && *place == id)
        found.push_back(static_cast<std::int32_t>(place - candidates_.begin()));
    }
    return found;
  }
  /// Their rows in device memory.
  Buffer<float> upload(Backend& backend, const HostMatrix& items) const {
    if (candidates_.empty()) return to_device(backend, items.values);
    std::vector<float> rows;
    rows.reserve(candidates_.size() * static_cast<std::size_t>(items.columns));
    for (const std::int32_t id : candidates_) {
      const float* row = items.view().row(id);
      rows.insert(rows.end(), row, row + items.columns);
    }
    return to_device(backend, rows);
  }

 private:
  ConstIndexView candidates_;
  std::int64_t count_;
};

/// The places of what `user` is not to be shown, ascending.
std::vector<std::int32_t> seen_items(const Dataset& dataset, const Ranked& ranked, std::int32_t user,
                                     SeenItems seen) {
  if (seen == SeenItems::none) return {};
  const ConstIndexView train = dataset.history(user);
  if (seen == SeenItems::training) return ranked.places({train.begin(), train.end()});
  const ConstIndexView valid = dataset.valid.row(user), test = dataset.test.row(user);
  std::vector<std::int32_t> held_out, all;
  std::set_union(valid.begin(), valid.end(), test.begin(), test.end(), std::back_inserter(held_out));
  std::set_union(train.begin(), train.end(), held_out.begin(), held_out.end(), std::back_inserter(all));
  return ranked.places(std::move(all));
}

/// Users of one block: their rows and what they are not shown, in device memory.
class Block {
 public:
  Block(Backend& backend, const Dataset& dataset, const Ranked& ranked, const HostMatrix& representations,
        ConstIndexView users, SeenItems seen)
      : width_(representations.columns) {
    std::vector<float> rows;
    std::vector<std::int64_t> offsets = {0};
    std::vector<std::int32_t> columns;
    for (const std::int32_t user : users) {
      const float* row = representations.view().row(user);
      rows.insert(rows.end(), row, row + width_);
      const std::vector<std::int32_t> items = seen_items(dataset, ranked, user, seen);
      columns.insert(columns.end(), items.begin(), items.end());
      offsets.push_back(static_cast<std::int64_t>(columns.size()));
    }
    const auto count = static_cast<std::int64_t>(users.size());
    rows_ = to_device(backend, rows);
    excluded_ = DeviceCsr(backend, count, ranked.count(), offsets, columns, {});
  }
  ConstMatrixView rows() const { return rows_.matrix(rows_.size() / width_, width_); }
  CsrPatternView excluded() const { return excluded_.pattern(); }

 private:
  std::int64_t width_;
  Buffer<float> rows_;
  DeviceCsr excluded_;
};

/// The most popular items that a user has not seen.
class Popular {
 public:
  Popular(const Dataset& dataset, const Ranked& ranked)
      : ranked_(ranked), counts_(popularity(dataset)), order_(static_cast<std::size_t>(ranked.count())) {
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](std::int32_t a, std::int32_t b) {
      return counts_[ranked_.item(a)] > counts_[ranked_.item(b)];
    });
  }
  /// `seen`: places.
  void pick(const std::vector<std::int32_t>& seen, std::int64_t top_k, std::vector<std::int32_t>& items,
            std::vector<float>& scores) const {
    items.clear();
    scores.clear();
    for (const std::int32_t place : order_) {
      if (static_cast<std::int64_t>(items.size()) == top_k) return;
      if (std::binary_search(seen.begin(), seen.end(), place)) continue;
      items.push_back(ranked_.item(place));
      scores.push_back(static_cast<float>(counts_[items.back()]));
    }
  }

 private:
  const Ranked& ranked_;
  std::vector<std::int64_t> counts_;
  std::vector<std::int32_t> order_;
};

}  // namespace

std::vector<std::int64_t> popularity(const Dataset& dataset) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(dataset.items));
  for (const std::int32_t item : dataset.train.column_indices) ++counts[item];
  return counts;
}

void recommend(Backend& backend, const Dataset& dataset, const Representations& representations,
               ConstIndexView users, std::int64_t top_k, SeenItems seen,
               const std::function<void(const Recommendation&)>& receive, const Scorer& scorer,
               ConstIndexView candidates) {
  const Ranked ranked(dataset, candidates);
  const Popular popular(dataset, ranked);
  const std::int64_t depth = std::min(top_k, ranked.count());
  const auto most = std::min<std::int64_t>(block_users, static_cast<std::int64_t>(users.size()));
  const Buffer<float> items = ranked.upload(backend, representations.items);
  const ConstMatrixView keys = items.matrix(ranked.count(), representations.items.columns);
  Buffer<std::int32_t> ids(backend, most * depth);
  Buffer<float> scores(backend, most * depth);
  Buffer<std::byte> workspace(backend, static_cast<std::int64_t>(scorer.rank_workspace(
                                           backend, most, keys.rows, representations.users.columns, depth)));
  std::vector<std::int32_t> popular_items;
  std::vector<float> popular_scores;
  for (std::size_t first = 0; first < users.size(); first += static_cast<std::size_t>(most)) {
    const ConstIndexView some =
        users.subspan(first, std::min(users.size() - first, static_cast<std::size_t>(most)));
    const Block block(backend, dataset, ranked, representations.users, some, seen);
    scorer.rank(backend, block.rows(), keys, depth, block.excluded(),
                ids.span().first(some.size() * static_cast<std::size_t>(depth)),
                scores.span().first(some.size() * static_cast<std::size_t>(depth)),
                {workspace.data(), workspace.bytes()});
    std::vector<std::int32_t> host_ids = ids.download();
    const std::vector<float> host_scores = scores.download();
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (dataset.history(some[i]).empty()) {
        popular.pick(seen_items(dataset, ranked, some[i], seen), depth, popular_items, popular_scores);
        receive({some[i], true, popular_items, popular_scores});
        continue;
      }
      const auto width = static_cast<std::size_t>(depth);
      const auto begin = host_ids.begin() + static_cast<std::ptrdiff_t>(i * width);
      const auto found =
          static_cast<std::size_t>(std::find(begin, begin + static_cast<std::ptrdiff_t>(width), -1) - begin);
      for (std::size_t j = 0; j < found; ++j) {
        std::int32_t& id = host_ids[i * width + j];
        id = ranked.item(id);
      }
      receive({some[i], false, ConstIndexView(host_ids).subspan(i * width, found),
               ConstVectorView(host_scores).subspan(i * width, found)});
    }
  }
}

}  // namespace sea
