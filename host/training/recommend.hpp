#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/dataset.hpp"
#include "sea/backend.hpp"
#include "training/checkpoint.hpp"
#include "training/scorer.hpp"

namespace sea {

/// Which items a user is not shown.
enum class SeenItems { all_splits, training, none };

/// The items of one user, best first.
struct Recommendation {
  std::int32_t user = 0;
  bool popular = false;  ///< the user has no history: the most popular items, scored by their users
  ConstIndexView items;
  ConstVectorView scores;
};

/// Calls `receive` once per user, in the order of `users` (numbers of the data set), with at most `top_k`
/// items each: fewer where the user has seen the rest. Where there are `candidates`, ascending and distinct,
/// no other items are ranked. Memory: blocks of users, never users x items.
void recommend(Backend& backend, const Dataset& dataset, const Representations& representations,
               ConstIndexView users, std::int64_t top_k, SeenItems seen,
               const std::function<void(const Recommendation&)>& receive,
               const Scorer& scorer = scorer_of(Score::dot), ConstIndexView candidates = {});

/// Training interactions of each item.
std::vector<std::int64_t> popularity(const Dataset& dataset);

}  // namespace sea
