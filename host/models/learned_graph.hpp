#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "configuration/registry.hpp"
#include "data/dataset.hpp"
#include "data/host_matrix.hpp"
#include "models/model.hpp"
#include "models/trained_features.hpp"
#include "program/nodes.hpp"

namespace sea {

// Item graphs whose values are cosines, as LATTICE and its kin have them.

/// The `knn_k` largest cosines of each row of a modality's raw features, the item itself a candidate, divided
/// by the roots of both rows' sums; 0 where a sum is not positive. Columns ascending. `features` are the same
/// in device memory.
HostCsr likeness_graph(Backend& backend, const ItemFeatures& modality, ConstMatrixView features,
                       std::int64_t knn_k, const Progress& progress);

/// That of each modality, as ModelDescription::item_graphs.
std::vector<ItemNeighbours> likeness_graphs(Backend& backend, const Dataset& dataset,
                                            const Configuration& configuration, const Progress& progress);

/// The pattern of a graph that is learned anew at times, with the entries of one frozen graph and one learned
/// neighbour list per modality, in device memory at fixed addresses.
class LearnedGraph {
 public:
  /// `knn_k` learned neighbours in each row of each modality.
  LearnedGraph(Backend& backend, std::vector<HostCsr> frozen, std::int64_t knn_k);

  /// Other learned neighbours: items x knn_k ids per modality; negative ones, which topk_dot gives where a
  /// likeness is not a number, are none.
  void build(const std::vector<std::vector<std::int32_t>>& neighbours);

  LearnedPattern pattern() const;
  /// 1 where the modality's list has the entry (1 x capacity).
  ConstMatrixView mask(std::size_t modality) const;
  /// The frozen graphs' values, one row per modality (modalities x capacity).
  ConstMatrixView frozen() const { return frozen_values_.matrix(modalities(), capacity_); }

 private:
  std::int64_t modalities() const { return static_cast<std::int64_t>(frozen_.size()); }

  std::vector<HostCsr> frozen_;
  std::int64_t items_, knn_k_, capacity_;
  Buffer<std::int64_t> row_offsets_, transposed_offsets_;
  Buffer<std::int32_t> columns_, transposed_columns_, permutation_;
  Buffer<float> masks_, frozen_values_;
};

/// An item graph that is learned from one or more modalities in the first batch of every epoch: its patterns,
/// of that batch and, for evaluation, of the present parameters; and its values, which the epoch's other
/// batches read. Neighbours and values are states, under the names NAME.neighbours and NAME.values.
class ItemGraph {
 public:
  ItemGraph(Model& model, const std::string& name, std::vector<TrainedFeatures> modalities,
            std::int64_t knn_k);

  /// Finds the epoch's neighbours, or brings back those that the epoch began with where it goes on in its
  /// middle.
  void begin_epoch();
  void before_evaluation();

  LearnedGraph training, evaluation;
  Tensor values;  ///< 1 x capacity

 private:
  void find_neighbours();

  Program& program_;
  std::vector<TrainedFeatures> modalities_;
  std::int64_t knn_k_;
  Tensor kept_;
  std::vector<std::vector<float>> projected_;  ///< what `neighbours_` were found in
  std::vector<std::vector<std::int32_t>> neighbours_;
};

/// The values of the item graph on this pattern (1 x capacity), (1 - lambda) L + lambda sum_m w_m O_m: L the
/// normalised sum of w_m times the cosines of the modalities' projections, O_m the frozen graphs, w the
/// softmax of `modal_weight` (1 x modalities), which is empty for one modality.
Tensor item_graph_values(Tape& tape, const LearnedGraph& graph, const std::vector<Tensor>& projected,
                         Tensor modal_weight, float lambda);

}  // namespace sea
