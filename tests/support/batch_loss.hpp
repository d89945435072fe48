#pragma once

#include <limits>

#include "support/operator_check.hpp"
#include "support/triples.hpp"

namespace sea::test {

/// A loss over the rows of users and of items that a batch names: of its first `count` triples.
struct BatchCase {
  std::int64_t users, items, width;
  Triples triples;
  std::int64_t count;
  std::vector<float> user_values = {}, item_values = {};  ///< random where there are none
};

/// Of `size` random triples, the first `count`; what stands behind them must not be read.
inline BatchCase batch_case(std::int64_t users, std::int64_t items, std::int64_t width, std::int64_t size,
                            std::int64_t count) {
  BatchCase made{users, items, width, random_triples(size, users, items), count};
  for (std::int64_t i = count; i < size; ++i) {
    for (std::vector<std::int32_t>* of :
         {&made.triples.users, &made.triples.positives, &made.triples.negatives})
      (*of)[i] = std::numeric_limits<std::int32_t>::max();
  }
  return made;
}

/// Calls the loss on the rows, the batch, its order and state.
using BatchRun = std::function<void(Backend&, const Views& in, const DeviceTriples&, const Views& out)>;

inline Operator batch_loss(const BatchCase& c, double weight,
                           const std::function<double(const Values&)>& loss, const BatchRun& run,
                           const Reference& closed_form = nullptr) {
  Operator described = loss_of(
      {{c.users, c.width, c.user_values}, {c.items, c.width, c.item_values}}, {0, 1}, weight, loss,
      [=](Backend& backend, const Views& in, const Views& out) {
        const DeviceTriples device(backend, c.triples, c.users, c.count);
        run(backend, in, device, out);
      },
      closed_form);
  // A row that no triple names does not matter.
  described.nan = NanCheck::none;
  return described;
}

}  // namespace sea::test
