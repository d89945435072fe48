#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/model.hpp"

namespace sea {

/// Pairs of users and items with repetition, the pattern that MMSSL's graphs are made of.
struct PairList {
  std::vector<std::int32_t> users, items;
};

/// The two sparse matrices of a bipartite graph whose rows are counts over the root of their sum, and their
/// transposes for the backward.
struct PairGraph {
  CsrView of_users, of_users_transposed;  ///< (users x items), (items x users)
  CsrView of_items, of_items_transposed;  ///< (items x users), (users x items)
};

/// MMSSL's graph of one modality. It begins as the interactions; the likeliest items of some batches are
/// listed, and from time to time the list takes the graph's place and is emptied. Lists lie in a state of the
/// program, so that a run that is gone on with has them.
class LikenessGraph {
 public:
  /// `k` items are listed for each user of a batch, and at most `capacity` pairs at one time.
  LikenessGraph(Model& model, const HostCsr& train, const std::string& name, std::int64_t k,
                std::int64_t capacity);

  PairGraph view() const;
  /// Lists the k largest of each row of likenesses (batch x items) for the batch's users. As the authors'
  /// code pairs them up: users repeat as a whole list, items one row after the other.
  void append(ConstMatrixView likenesses, const std::vector<std::int32_t>& users);
  /// The list becomes the graph.
  void rebuild();
  /// Brings the graph back from the state.
  void restore();

 private:
  /// The state: pairs in the graph, or -1 for the interactions, and those in the list; then both.
  struct Contents {
    bool interactions = true;
    PairList graph, list;
  };
  Contents read() const;
  void write(const Contents& contents) const;
  void upload(const HostCsr& counts);

  Program& program_;
  std::int64_t users_, items_, k_, capacity_;
  HostCsr train_;
  Tensor state_;
  DeviceCsr *of_users_, *of_users_transposed_, *of_items_, *of_items_transposed_;
};

/// Rows over the root of their sum plus 1e-8.
HostCsr over_root(HostCsr counts);
/// The pairs as counts (users x items), columns ascending.
HostCsr count_pairs(const PairList& pairs, std::int64_t users, std::int64_t items);
/// The interactions as such a graph, in memory of the model.
PairGraph interaction_pairs(Model& model, const HostCsr& train);

}  // namespace sea
