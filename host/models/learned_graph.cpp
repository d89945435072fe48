#include "models/learned_graph.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "data/neighbours.hpp"
#include "models/initial_values.hpp"
#include "models/modules.hpp"
#include "models/recording.hpp"
#include "sea/device_csr.hpp"
#include "sea/error.hpp"

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

std::vector<ItemNeighbours> likeness_graphs(Backend& backend, const Dataset& dataset,
                                            const Configuration& configuration, const Progress& progress) {
  std::vector<ItemNeighbours> graphs;
  for (const ItemFeatures& modality : dataset.features) {
    const Buffer<float> features = to_device(backend, modality.values.values);
    graphs.push_back(
        {modality.modality,
         likeness_graph(backend, modality, features.matrix(dataset.items, modality.values.columns),
                        configuration.integer("knn_k"), progress)});
  }
  return graphs;
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

namespace {

/// Neighbours are kept in a state, whose numbers are floats: whole numbers up to here are exact.
constexpr std::int64_t most_items = std::int64_t{1} << 24;

std::vector<HostCsr> frozen_graphs(const std::vector<TrainedFeatures>& modalities) {
  std::vector<HostCsr> graphs;
  for (const TrainedFeatures& modality : modalities) {
    if (modality.features.rows > most_items)
      throw Error(fmt::format("{} items are too many for a learned item graph; it takes {}",
                              modality.features.rows, most_items));
    graphs.push_back(modality.likeness);
  }
  return graphs;
}

}  // namespace

ItemGraph::ItemGraph(Model& model, const std::string& name, std::vector<TrainedFeatures> modalities,
                     std::int64_t knn_k)
    : training(model.program.backend(), frozen_graphs(modalities), knn_k),
      evaluation(model.program.backend(), frozen_graphs(modalities), knn_k),
      program_(model.program),
      modalities_(std::move(modalities)),
      knn_k_(knn_k),
      projected_(modalities_.size()),
      neighbours_(modalities_.size()) {
  const auto rows = static_cast<std::int64_t>(modalities_.size()) * modalities_.front().features.rows;
  kept_ = program_.state(name + ".neighbours", rows, knn_k, constant_value(0.0f));
  values = program_.state(name + ".values", 1, training.pattern().capacity, constant_value(0.0f));
}

void ItemGraph::begin_epoch() {
  const MatrixView kept = program_.value(kept_);
  if (program_.step_state().download().front().first == 0) {
    find_neighbours();
    std::vector<float> all;
    for (const auto& ids : neighbours_) all.insert(all.end(), ids.begin(), ids.end());
    program_.backend().copy_to_device(kept.data, all.data(), all.size() * sizeof(float));
    return training.build(neighbours_);
  }
  const std::vector<float> all = to_host(program_.backend(), kept).values;
  const auto size = static_cast<std::ptrdiff_t>(all.size() / modalities_.size());
  std::vector<std::vector<std::int32_t>> ids;
  for (auto first = all.begin(); first != all.end(); first += size) ids.emplace_back(first, first + size);
  training.build(ids);
}

void ItemGraph::before_evaluation() {
  find_neighbours();
  evaluation.build(neighbours_);
}

/// Those in the present parameters. The ones found for an evaluation serve the epoch after it.
void ItemGraph::find_neighbours() {
  Backend& backend = program_.backend();
  for (std::size_t m = 0; m < modalities_.size(); ++m) {
    const Tensor& features = modalities_[m].features;
    const LinearParameters& layer = modalities_[m].layer;
    const std::int64_t items = features.rows, width = layer.weight.rows;
    const Buffer<float> projected(backend, items * width);
    const ConstMatrixView bias = program_.value(layer.bias);
    backend.linear(program_.value(features), program_.value(layer.weight),
                   {bias.data, static_cast<std::size_t>(width)}, projected.matrix(items, width));
    std::vector<float> rows = projected.download();
    if (rows == projected_[m]) continue;
    projected_[m] = std::move(rows);
    neighbours_[m] =
        nearest_neighbours(backend, projected.matrix(items, width), knn_k_, modalities_[m].new_rows);
    // A similarity that is not a number is never taken.
    if (std::find(neighbours_[m].begin(), neighbours_[m].end(), -1) != neighbours_[m].end())
      throw Error("the training diverged: an item's features are not finite; lower learning_rate");
  }
}

Tensor item_graph_values(Tape& tape, const LearnedGraph& graph, const std::vector<Tensor>& projected,
                         Tensor modal_weight, float lambda) {
  Program& program = tape.program();
  const LearnedPattern pattern = graph.pattern();
  const auto count = static_cast<std::int64_t>(projected.size());
  const Tensor learned = tape.activation(count, pattern.capacity), frozen = program.constant(graph.frozen());
  for (std::int64_t m = 0; m < count; ++m) {
    const auto modality = static_cast<std::size_t>(m);
    const Tensor unit = row_normalize(tape, projected[modality]);
    copy(tape, sddmm(tape, pattern, program.constant(graph.mask(modality)), unit, unit),
         learned.row_range(m, 1));
  }
  Tensor mixed = learned, mixed_frozen = frozen;
  if (count == 2) {
    const Tensor weights = softmax(tape, modal_weight);
    mixed = matmul(tape, Transpose::no, Transpose::no, weights, learned);
    mixed_frozen = matmul(tape, Transpose::no, Transpose::no, weights, frozen);
  }
  return add(tape, scale(tape, 1.0f - lambda, edge_normalize(tape, pattern, mixed)),
             scale(tape, lambda, mixed_frozen));
}

}  // namespace sea
