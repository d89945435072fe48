#include "models/likeness_graphs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "data/graph.hpp"
#include "models/initial_values.hpp"
#include "models/recording.hpp"

namespace sea {

HostCsr over_root(HostCsr counts) {
  for (std::int64_t i = 0; i < counts.rows; ++i) {
    const auto begin = counts.values.begin() + counts.row_offsets[i],
               end = counts.values.begin() + counts.row_offsets[i + 1];
    const double root = std::sqrt(std::accumulate(begin, end, 0.0) + 1e-8);
    for (auto value = begin; value != end; ++value) *value = static_cast<float>(*value / root);
  }
  return counts;
}

HostCsr count_pairs(const PairList& pairs, std::int64_t users, std::int64_t items) {
  std::vector<std::pair<std::int32_t, std::int32_t>> sorted;
  for (std::size_t c = 0; c < pairs.users.size(); ++c) sorted.emplace_back(pairs.users[c], pairs.items[c]);
  std::sort(sorted.begin(), sorted.end());
  HostCsr counts;
  counts.rows = users;
  counts.columns = items;
  auto next = sorted.begin();
  for (std::int64_t user = 0; user < users; ++user) {
    std::int32_t last = -1;
    for (; next != sorted.end() && next->first == user; ++next) {
      if (next->second == last) {
        counts.values.back() += 1.0f;
        continue;
      }
      last = next->second;
      counts.column_indices.push_back(last);
      counts.values.push_back(1.0f);
    }
    counts.row_offsets.push_back(counts.nonzeros());
  }
  return counts;
}

PairGraph interaction_pairs(Model& model, const HostCsr& train) {
  const auto keep = [&](const HostCsr& csr) {
    return model.graphs.emplace_back(to_device(model.program.backend(), csr)).view();
  };
  const HostCsr counts = pair_graph(train, false);
  const HostCsr users = over_root(counts), items = over_root(transpose(counts));
  return {keep(users), keep(transpose(users)), keep(items), keep(transpose(items))};
}

namespace {

/// With room for `capacity` entries.
HostCsr with_room(HostCsr csr, std::int64_t capacity) {
  csr.column_indices.resize(static_cast<std::size_t>(capacity));
  csr.values.resize(static_cast<std::size_t>(capacity));
  return csr;
}

}  // namespace

LikenessGraph::LikenessGraph(Model& model, const HostCsr& train, const std::string& name, std::int64_t k,
                             std::int64_t capacity)
    : program_(model.program),
      users_(train.rows),
      items_(train.columns),
      k_(k),
      capacity_(std::max(capacity, train.nonzeros())),
      train_(pair_graph(train, false)),
      state_(program_.state(name + "_graph.pairs", 1, 2 + 4 * capacity,
                            [](std::int64_t, std::int64_t columns, const InitialDraws&) {
                              std::vector<float> values(static_cast<std::size_t>(columns));
                              values[0] = -1.0f;
                              return values;
                            })) {
  const HostCsr users = over_root(train_), items = over_root(transpose(train_));
  for (const auto& [place, csr] : {std::pair(&of_users_, users),
                                   {&of_users_transposed_, transpose(users)},
                                   {&of_items_, items},
                                   {&of_items_transposed_, transpose(items)}})
    *place = &model.graphs.emplace_back(to_device(program_.backend(), with_room(csr, capacity_)));
}

PairGraph LikenessGraph::view() const {
  return {of_users_->view(), of_users_transposed_->view(), of_items_->view(), of_items_transposed_->view()};
}

void LikenessGraph::upload(const HostCsr& counts) {
  const HostCsr users = over_root(counts), items = over_root(transpose(counts));
  for (const auto& [place, csr] : {std::pair(of_users_, users),
                                   {of_users_transposed_, transpose(users)},
                                   {of_items_, items},
                                   {of_items_transposed_, transpose(items)}}) {
    const HostCsr padded = with_room(csr, capacity_);
    place->upload(padded.row_offsets, padded.column_indices, padded.values);
  }
}

LikenessGraph::Contents LikenessGraph::read() const {
  const std::vector<float> values = to_host(program_.backend(), program_.value(state_)).values;
  Contents contents;
  contents.interactions = values[0] < 0.0f;
  const auto take = [&](float count, std::size_t begin, PairList& pairs) {
    const auto users = values.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto items = users + (state_.columns - 2) / 4;
    const auto length = static_cast<std::ptrdiff_t>(std::max(count, 0.0f));
    pairs.users.assign(users, users + length);
    pairs.items.assign(items, items + length);
  };
  const auto half = static_cast<std::size_t>((state_.columns - 2) / 2);
  take(values[0], 2, contents.graph);
  take(values[1], 2 + half, contents.list);
  return contents;
}

void LikenessGraph::write(const Contents& contents) const {
  std::vector<float> values(static_cast<std::size_t>(state_.columns));
  const auto put = [&](const PairList& pairs, std::int64_t begin) {
    const auto users = values.begin() + begin;
    std::copy(pairs.users.begin(), pairs.users.end(), users);
    std::copy(pairs.items.begin(), pairs.items.end(), users + (state_.columns - 2) / 4);
  };
  values[0] = contents.interactions ? -1.0f : static_cast<float>(contents.graph.users.size());
  values[1] = static_cast<float>(contents.list.users.size());
  put(contents.graph, 2);
  put(contents.list, 2 + (state_.columns - 2) / 2);
  program_.backend().copy_to_device(program_.value(state_).data, values.data(),
                                    values.size() * sizeof(float));
}

void LikenessGraph::append(ConstMatrixView likenesses, const std::vector<std::int32_t>& users) {
  const HostMatrix host = to_host(program_.backend(), likenesses);
  Contents contents = read();
  std::vector<std::int32_t> ids(static_cast<std::size_t>(items_)), likeliest;
  for (std::int64_t b = 0; b < host.rows; ++b) {
    const float* row = host.view().row(b);
    std::iota(ids.begin(), ids.end(), 0);
    std::partial_sort(ids.begin(), ids.begin() + k_, ids.end(), [&](std::int32_t i, std::int32_t j) {
      return row[i] > row[j] || (row[i] == row[j] && i < j);
    });
    likeliest.insert(likeliest.end(), ids.begin(), ids.begin() + k_);
  }
  for (std::size_t c = 0; c < likeliest.size(); ++c) {
    contents.list.users.push_back(users[c % users.size()]);
    contents.list.items.push_back(likeliest[c]);
  }
  write(contents);
}

void LikenessGraph::rebuild() {
  Contents contents = read();
  contents.interactions = false;
  contents.graph = std::exchange(contents.list, {});
  write(contents);
  upload(count_pairs(contents.graph, users_, items_));
}

void LikenessGraph::restore() {
  const Contents contents = read();
  upload(contents.interactions ? train_ : count_pairs(contents.graph, users_, items_));
}

}  // namespace sea
