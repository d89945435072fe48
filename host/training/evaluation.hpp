#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/host_matrix.hpp"
#include "sea/backend.hpp"
#include "sea/buffer.hpp"
#include "training/metrics.hpp"
#include "training/scorer.hpp"

namespace sea {

/// The held-out pairs (users x items) whose item has a training pair; a user may be left without any.
HostCsr with_warm_items(const HostCsr& held_out, const HostCsr& train);

/// The pairs of `a` and of `b`, which have one shape.
HostCsr pairs_of_either(const HostCsr& a, const HostCsr& b);

/// Full-sort evaluation: every user of a split is ranked over all items but those of their training history.
/// All memory is taken when it is made: a block of users times the largest cut-off, and a tile.
class Evaluator {
 public:
  /// `history` (users x items, ascending rows) is in device memory; `splits` (held-out items, users x items)
  /// in the host's. Both, the backend and the scorer must live as long. `width` is that of a user's
  /// representation. `cutoffs`, at least one, ascend from 1 on, and `block_users` is at least 1; else throws
  /// Error.
  Evaluator(Backend& backend, const CsrPatternView& history, std::vector<const HostCsr*> splits,
            std::vector<std::int64_t> cutoffs, std::int64_t block_users, std::int64_t width,
            const Scorer& scorer = scorer_of(Score::dot));

  /// One result per split, from representations in device memory (users x width, and items as wide as the
  /// scorer has them): one ranking
  /// serves all of them. Users are summed in ascending order, so that no block size changes a bit.
  std::vector<Metrics> evaluate(ConstMatrixView users, ConstMatrixView items);

  /// Gives `body` the list of every user who has a held-out item in some split, users ascending: item ids,
  /// best first, as many as the largest cut-off or all items, -1 where fewer are left.
  void rank(ConstMatrixView users, ConstMatrixView items,
            const std::function<void(std::int64_t user, ConstIndexView ranked)>& body);

 private:
  Backend& backend_;
  const Scorer& scorer_;
  CsrPatternView history_;
  std::vector<const HostCsr*> splits_;
  std::vector<std::int64_t> cutoffs_;
  std::int64_t block_users_, width_, depth_;
  Buffer<std::int32_t> ids_;
  Buffer<float> scores_;
  Buffer<std::byte> workspace_;
  std::vector<std::int32_t> ranked_;
};

}  // namespace sea
