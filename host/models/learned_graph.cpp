#include "models/learned_graph.hpp"

#include <algorithm>

#include "models/recording.hpp"
#include "sea/device_csr.hpp"

namespace sea {

HostCsr likeness_graph(Backend& backend, const ItemFeatures& modality, ConstMatrixView features,
                       std::int64_t knn_k, const Progress& progress) {
  HostCsr graph = modality_graph(backend, modality, features, knn_k, progress);
  const DeviceCsr pattern(backend, graph.rows, graph.columns, graph.row_offsets, graph.column_indices, {});
  const std::int64_t items = features.rows;
  const Buffer<float> unit(backend, features.size()), roots(backend, items);
  const Buffer<float> cosines(backend, graph.nonzeros()), values(backend, graph.nonzeros());
  const MatrixView rows = unit.matrix(items, features.columns);
  backend.row_normalize(features, rows, roots.span());
  backend.sddmm({pattern.pattern(), nullptr}, rows, rows, cosines.span());
  backend.edge_normalize(pattern.pattern(), cosines.span(), values.span(), roots.span());
  graph.values = values.download();
  return graph;
}

namespace {

std::int64_t entries_of(const std::vector<HostCsr>& graphs) {
  std::int64_t entries = 0;
  for (const HostCsr& graph : graphs) entries += graph.nonzeros();
  return entries;
}

}  // namespace

LearnedGraph::LearnedGraph(Backend& backend, std::vector<HostCsr> frozen, std::int64_t knn_k)
    : frozen_(std::move(frozen)),
      items_(frozen_.front().rows),
      knn_k_(knn_k),
      capacity_(entries_of(frozen_) + modalities() * items_ * knn_k),
      row_offsets_(backend, items_ + 1),
      transposed_offsets_(backend, items_ + 1),
      columns_(backend, capacity_),
      transposed_columns_(backend, capacity_),
      permutation_(backend, capacity_),
      masks_(backend, modalities() * capacity_),
      frozen_values_(backend, modalities() * capacity_) {
  build(std::vector<std::vector<std::int32_t>>(frozen_.size()));
}

void LearnedGraph::build(const std::vector<std::vector<std::int32_t>>& neighbours) {
  const auto capacity = static_cast<std::size_t>(capacity_);
  HostCsr graph;
  graph.rows = graph.columns = items_;
  std::vector<float> masks(frozen_.size() * capacity), values(frozen_.size() * capacity);
  struct Source {
    std::int32_t column;
    float *place, value;  ///< what is written, in the modality's row of masks or values
  };
  std::vector<Source> row;
  for (std::int64_t item = 0; item < items_; ++item) {
    row.clear();
    for (std::size_t m = 0; m < frozen_.size(); ++m) {
      const HostCsr& frozen = frozen_[m];
      for (std::int64_t e = frozen.row_offsets[item]; e < frozen.row_offsets[item + 1]; ++e)
        row.push_back({frozen.column_indices[e], values.data() + m * capacity, frozen.values[e]});
      for (std::int64_t e = item * knn_k_; !neighbours[m].empty() && e < (item + 1) * knn_k_; ++e) {
        if (neighbours[m][e] >= 0) row.push_back({neighbours[m][e], masks.data() + m * capacity, 1.0f});
      }
    }
    std::sort(row.begin(), row.end(), [](const Source& a, const Source& b) { return a.column < b.column; });
    for (const Source& source : row) {
      const bool repeated =
          graph.nonzeros() > graph.row_offsets.back() && graph.column_indices.back() == source.column;
      if (!repeated) graph.column_indices.push_back(source.column);
      source.place[graph.nonzeros() - 1] = source.value;
    }
    graph.row_offsets.push_back(graph.nonzeros());
  }

  std::vector<std::int64_t> transposed_offsets(static_cast<std::size_t>(items_) + 1);
  for (const std::int32_t column : graph.column_indices) ++transposed_offsets[column + 1];
  for (std::int64_t item = 0; item < items_; ++item) transposed_offsets[item + 1] += transposed_offsets[item];
  std::vector<std::int64_t> next(transposed_offsets.begin(), transposed_offsets.end() - 1);
  std::vector<std::int32_t> transposed_columns(graph.column_indices.size()),
      permutation(graph.column_indices.size());
  for (std::int64_t item = 0; item < items_; ++item) {
    for (std::int64_t e = graph.row_offsets[item]; e < graph.row_offsets[item + 1]; ++e) {
      const std::int64_t place = next[graph.column_indices[e]]++;
      transposed_columns[place] = static_cast<std::int32_t>(item);
      permutation[place] = static_cast<std::int32_t>(e);
    }
  }
  row_offsets_.upload(graph.row_offsets);
  columns_.upload(graph.column_indices);
  transposed_offsets_.upload(transposed_offsets);
  transposed_columns_.upload(transposed_columns);
  permutation_.upload(permutation);
  masks_.upload(masks);
  frozen_values_.upload(values);
}

LearnedPattern LearnedGraph::pattern() const {
  return {{items_, items_, row_offsets_.data(), columns_.data()},
          {items_, items_, transposed_offsets_.data(), transposed_columns_.data()},
          permutation_.span(),
          capacity_};
}

ConstMatrixView LearnedGraph::mask(std::size_t modality) const {
  return {masks_.data() + static_cast<std::int64_t>(modality) * capacity_, 1, capacity_};
}

}  // namespace sea
