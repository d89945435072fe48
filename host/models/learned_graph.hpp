#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.hpp"
#include "data/host_matrix.hpp"
#include "models/model.hpp"
#include "program/nodes.hpp"

namespace sea {

// Item graphs whose values are cosines, as LATTICE and its kin have them.

/// The `knn_k` largest cosines of each row of a modality's raw features, the item itself a candidate, divided
/// by the roots of both rows' sums; 0 where a sum is not positive. Columns ascending. `features` are the same
/// in device memory.
HostCsr likeness_graph(Backend& backend, const ItemFeatures& modality, ConstMatrixView features,
                       std::int64_t knn_k, const Progress& progress);

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

}  // namespace sea
