#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "configuration/registry.hpp"
#include "sea/backend.hpp"

namespace sea {

/// A part of an item's representation: as many columns as a user's has.
struct ItemPart {
  std::string name;
  std::int64_t first_column = 0;
};

/// What a model's score is: how items are ranked by it, and what an item's representation consists of. Knows
/// representations alone, so that a run's files are all that it needs.
class Scorer {
 public:
  virtual ~Scorer() = default;
  Scorer() = default;
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  /// Parts of an item in the order of its columns.
  virtual std::vector<ItemPart> parts(std::int64_t width) const = 0;
  std::int64_t item_width(std::int64_t width) const {
    return width * static_cast<std::int64_t>(parts(width).size());
  }
  /// The `k` items of largest score for each user, see Backend::topk_dot.
  virtual void rank(Backend& backend, ConstMatrixView users, ConstMatrixView items, std::int64_t k,
                    const CsrPatternView& excluded, IndexView ids, VectorView scores,
                    Workspace workspace) const = 0;
  virtual std::size_t rank_workspace(const Backend& backend, std::int64_t users, std::int64_t items,
                                     std::int64_t width, std::int64_t k) const = 0;
  /// What is to be said where somebody expects a dot product; empty where it is one.
  virtual std::string caution() const { return {}; }
};

/// The scorer of a kind of model; lives as long as the program.
const Scorer& scorer_of(Score score);

}  // namespace sea
