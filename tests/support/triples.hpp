#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sea/buffer.hpp"
#include "support/backends.hpp"

namespace sea::test {

/// A batch on the host.
struct Triples {
  std::vector<std::int32_t> users, positives, negatives;
  std::int64_t size() const { return static_cast<std::int64_t>(users.size()); }
};

inline std::vector<std::int32_t> random_indices(std::int64_t count, std::int64_t bound, std::uint64_t seed) {
  std::vector<std::int32_t> values;
  for (std::int64_t i = 0; i < count; ++i) {
    const Philox4x32 bits = random_bits(seed, RandomPurpose::synthetic, 3, i);
    values.push_back(static_cast<std::int32_t>(uniform_below(bits, static_cast<std::uint32_t>(bound))));
  }
  return values;
}

inline Triples random_triples(std::int64_t count, std::int64_t users, std::int64_t items) {
  return {random_indices(count, users, 1), random_indices(count, items, 2), random_indices(count, items, 3)};
}

/// The same in a backend's memory, sorted, with a step state of `count` valid triples. Behind the valid
/// places of the order the last node goes on: who reads there, sums too much.
class DeviceTriples {
 public:
  DeviceTriples(Backend& backend, const Triples& triples, std::int64_t users, std::int64_t count)
      : users_(to_device(backend, triples.users)),
        positives_(to_device(backend, triples.positives)),
        negatives_(to_device(backend, triples.negatives)),
        places_(static_cast<std::size_t>(3 * triples.size())),
        nodes_(backend, 3 * triples.size() + 8),
        sources_(backend, 3 * triples.size() + 8),
        state_(to_device(backend, std::vector<StepState>{{8, 2, 100, count}})) {
    const GarbageWorkspace workspace(backend, backend.sort_batch_workspace(triples.size()));
    backend.sort_batch(batch(), users, state(), order(), workspace);
    if (count < 1 || count > triples.size()) return;
    std::vector<std::int32_t> nodes = nodes_.download(), sources = sources_.download();
    const auto end = static_cast<std::ptrdiff_t>(3 * count);
    std::fill(nodes.begin() + end, nodes.end(), nodes[static_cast<std::size_t>(end) - 1]);
    std::fill(sources.begin() + end, sources.end(), 0);
    nodes_.upload(nodes);
    sources_.upload(sources);
  }

  BatchView batch() const { return {users_.span(), positives_.span(), negatives_.span()}; }
  BatchOrderView order() const { return {nodes_.span().first(places_), sources_.span().first(places_)}; }
  const StepState* state() const { return state_.data(); }

 private:
  Buffer<std::int32_t> users_, positives_, negatives_;
  std::size_t places_;
  Buffer<std::int32_t> nodes_, sources_;
  Buffer<StepState> state_;
};

/// Rows of users and of items.
struct BatchShape {
  std::int64_t users, items, width;
};

/// A loss over the rows of a batch, and its gradients.
struct BatchLoss {
  float loss;
  std::vector<float> d_users, d_items;
  bool operator==(const BatchLoss&) const = default;
};

}  // namespace sea::test
