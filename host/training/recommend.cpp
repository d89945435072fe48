#include "training/recommend.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "sea/buffer.hpp"
#include "sea/device_csr.hpp"

namespace sea {

namespace {

constexpr std::int64_t block_users = 1024;

/// The items of `user` that are not to be shown, ascending.
std::vector<std::int32_t> seen_items(const Dataset& dataset, std::int32_t user, SeenItems seen) {
  if (seen == SeenItems::none) return {};
  const ConstIndexView train = dataset.train.row(user);
  if (seen == SeenItems::training) return {train.begin(), train.end()};
  const ConstIndexView valid = dataset.valid.row(user), test = dataset.test.row(user);
  std::vector<std::int32_t> held_out, all;
  std::set_union(valid.begin(), valid.end(), test.begin(), test.end(), std::back_inserter(held_out));
  std::set_union(train.begin(), train.end(), held_out.begin(), held_out.end(), std::back_inserter(all));
  return all;
}

/// Users of one block: their rows and what they are not shown, in device memory.
class Block {
 public:
  Block(Backend& backend, const Dataset& dataset, const HostMatrix& representations, ConstIndexView users,
        SeenItems seen)
      : width_(representations.columns) {
    std::vector<float> rows;
    std::vector<std::int64_t> offsets = {0};
    std::vector<std::int32_t> columns;
    for (const std::int32_t user : users) {
      const float* row = representations.view().row(user);
      rows.insert(rows.end(), row, row + width_);
      const std::vector<std::int32_t> items = seen_items(dataset, user, seen);
      columns.insert(columns.end(), items.begin(), items.end());
      offsets.push_back(static_cast<std::int64_t>(columns.size()));
    }
    const auto count = static_cast<std::int64_t>(users.size());
    rows_ = to_device(backend, rows);
    excluded_ = DeviceCsr(backend, count, dataset.items, offsets, columns, {});
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
  explicit Popular(const Dataset& dataset) : counts_(popularity(dataset)), order_(counts_.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::int32_t a, std::int32_t b) { return counts_[a] > counts_[b]; });
  }
  void pick(const std::vector<std::int32_t>& seen, std::int64_t top_k, std::vector<std::int32_t>& items,
            std::vector<float>& scores) const {
    items.clear();
    scores.clear();
    for (const std::int32_t item : order_) {
      if (static_cast<std::int64_t>(items.size()) == top_k) return;
      if (std::binary_search(seen.begin(), seen.end(), item)) continue;
      items.push_back(item);
      scores.push_back(static_cast<float>(counts_[item]));
    }
  }

 private:
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
               const std::function<void(const Recommendation&)>& receive, const Scorer& scorer) {
  const Popular popular(dataset);
  const std::int64_t depth = std::min(top_k, dataset.items);
  const auto most = std::min<std::int64_t>(block_users, static_cast<std::int64_t>(users.size()));
  const Buffer<float> items = to_device(backend, representations.items.values);
  const ConstMatrixView keys = items.matrix(representations.items.rows, representations.items.columns);
  Buffer<std::int32_t> ids(backend, most * depth);
  Buffer<float> scores(backend, most * depth);
  Buffer<std::byte> workspace(backend, static_cast<std::int64_t>(scorer.rank_workspace(
                                           backend, most, keys.rows, representations.users.columns, depth)));
  std::vector<std::int32_t> popular_items;
  std::vector<float> popular_scores;
  for (std::size_t first = 0; first < users.size(); first += static_cast<std::size_t>(most)) {
    const ConstIndexView some =
        users.subspan(first, std::min(users.size() - first, static_cast<std::size_t>(most)));
    const Block block(backend, dataset, representations.users, some, seen);
    scorer.rank(backend, block.rows(), keys, depth, block.excluded(),
                ids.span().first(some.size() * static_cast<std::size_t>(depth)),
                scores.span().first(some.size() * static_cast<std::size_t>(depth)),
                {workspace.data(), workspace.bytes()});
    const std::vector<std::int32_t> host_ids = ids.download();
    const std::vector<float> host_scores = scores.download();
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (dataset.train.row(some[i]).empty()) {
        popular.pick(seen_items(dataset, some[i], seen), depth, popular_items, popular_scores);
        receive({some[i], true, popular_items, popular_scores});
        continue;
      }
      const auto width = static_cast<std::size_t>(depth);
      const auto begin = host_ids.begin() + static_cast<std::ptrdiff_t>(i * width);
      const auto found =
          static_cast<std::size_t>(std::find(begin, begin + static_cast<std::ptrdiff_t>(width), -1) - begin);
      receive({some[i], false, ConstIndexView(host_ids).subspan(i * width, found),
               ConstVectorView(host_scores).subspan(i * width, found)});
    }
  }
}

}  // namespace sea
