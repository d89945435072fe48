#pragma once

#include <vector>

#include "program/nodes.hpp"

namespace sea {

// The lists of a batch as nodes declare and read them.

inline BatchView view(const NodeRun& run, const Batch& batch) {
  return {run.indices(batch.users), run.indices(batch.positives), run.indices(batch.negatives)};
}

inline BatchOrderView order_view(const NodeRun& run, const Batch& batch) {
  return {run.indices(batch.nodes), run.indices(batch.sources)};
}

inline std::vector<Indices> triples(const Batch& batch) {
  return {batch.users, batch.positives, batch.negatives};
}

inline std::vector<Indices> triples_and_order(const Batch& batch) {
  return {batch.users, batch.positives, batch.negatives, batch.nodes, batch.sources};
}

}  // namespace sea
