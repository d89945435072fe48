
#include "models/model.hpp"
#include "sea/error.hpp"

namespace sea {

DeviceSampling::DeviceSampling(Backend& backend, const HostCsr& train, Negatives negatives)
    : history_(backend, train.rows, train.columns, train.row_offsets, train.column_indices, {}) {
  std::vector<bool> occurs(static_cast<std::size_t>(train.columns), negatives == Negatives::all_items);
  for (const std::int32_t item : train.column_indices) occurs[item] = true;
  std::vector<std::int32_t> candidates;
  for (std::int64_t item = 0; item < train.columns; ++item) {
    if (occurs[item]) candidates.push_back(static_cast<std::int32_t>(item));
  }
  std::vector<std::int32_t> pair_users, pair_items, users;
  for (std::int64_t user = 0; user < train.rows; ++user) {
    const ConstIndexView history = train.row(user);
    if (!history.empty() && static_cast<std::int64_t>(history.size()) < train.columns)
      users.push_back(static_cast<std::int32_t>(user));
    if (history.size() == candidates.size()) {
      dropped_ += static_cast<std::int64_t>(history.size());
      continue;
    }
    pair_users.insert(pair_users.end(), history.size(), static_cast<std::int32_t>(user));
    pair_items.insert(pair_items.end(), history.begin(), history.end());
  }
  if (pair_users.empty()) {
    throw Error(
        "no training pair has a negative: every user with training history has every item that could be one");
  }
  pair_users_ = to_device(backend, pair_users);
  pair_items_ = to_device(backend, pair_items);
  candidates_ = to_device(backend, candidates);
  users_ = to_device(backend, users);
}

SamplingView DeviceSampling::view() const {
  return {history_.pattern(), pair_users_.span(), pair_items_.span(), candidates_.span()};
}

}  // namespace sea
