#include "training/evaluation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "sea/error.hpp"

namespace sea {

namespace {

std::vector<std::int64_t> checked_cutoffs(std::vector<std::int64_t> cutoffs) {
  const bool ascending =
      std::adjacent_find(cutoffs.begin(), cutoffs.end(), std::greater_equal<>()) == cutoffs.end();
  if (cutoffs.empty() || cutoffs.front() < 1 || !ascending) {
    throw Error(fmt::format("Evaluator: the cut-offs are [{}] and must be one or more, ascending, from 1 on",
                            fmt::join(cutoffs, ", ")));
  }
  return cutoffs;
}

std::int64_t checked_block(std::int64_t block_users) {
  if (block_users < 1)
    throw Error(fmt::format("Evaluator: block_users is {} and must be at least 1", block_users));
  return block_users;
}

}  // namespace

HostCsr with_warm_items(const HostCsr& held_out, const HostCsr& train) {
  std::vector<bool> known(static_cast<std::size_t>(held_out.columns));
  for (const std::int32_t item : train.column_indices) known[static_cast<std::size_t>(item)] = true;
  HostCsr kept;
  kept.rows = held_out.rows;
  kept.columns = held_out.columns;
  for (std::int64_t user = 0; user < held_out.rows; ++user) {
    for (const std::int32_t item : held_out.row(user)) {
      if (known[static_cast<std::size_t>(item)]) kept.column_indices.push_back(item);
    }
    kept.row_offsets.push_back(kept.nonzeros());
  }
  return kept;
}

HostCsr pairs_of_either(const HostCsr& a, const HostCsr& b) {
  HostCsr both;
  both.rows = a.rows;
  both.columns = a.columns;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const ConstIndexView of_a = a.row(row), of_b = b.row(row);
    std::set_union(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(),
                   std::back_inserter(both.column_indices));
    both.row_offsets.push_back(both.nonzeros());
  }
  return both;
}

Evaluator::Evaluator(Backend& backend, const CsrPatternView& history, std::vector<const HostCsr*> splits,
                     std::vector<std::int64_t> cutoffs, std::int64_t block_users, std::int64_t width,
                     const Scorer& scorer)
    : backend_(backend),
      scorer_(scorer),
      history_(history),
      splits_(std::move(splits)),
      cutoffs_(checked_cutoffs(std::move(cutoffs))),
      block_users_(std::min(checked_block(block_users), history.rows)),
      width_(width),
      depth_(std::min(cutoffs_.back(), history.columns)),
      ids_(backend, block_users_ * depth_),
      scores_(backend, block_users_ * depth_),
      workspace_(backend, static_cast<std::int64_t>(
                              scorer.rank_workspace(backend, block_users_, history.columns, width_, depth_))),
      ranked_(static_cast<std::size_t>(block_users_ * depth_)) {}

std::vector<Metrics> Evaluator::evaluate(ConstMatrixView users, ConstMatrixView items) {
  std::vector<MetricSums> sums(splits_.size(), MetricSums(cutoffs_));
  rank(users, items, [&](std::int64_t user, ConstIndexView ranked) {
    for (std::size_t s = 0; s < splits_.size(); ++s) {
      const ConstIndexView relevant = splits_[s]->row(user);
      if (!relevant.empty()) sums[s].add(ranked, relevant);
    }
  });
  std::vector<Metrics> results;
  for (const MetricSums& sum : sums) results.push_back(sum.means());
  return results;
}

void Evaluator::rank(ConstMatrixView users, ConstMatrixView items,
                     const std::function<void(std::int64_t user, ConstIndexView ranked)>& body) {
  const auto held_out = [&](std::int64_t user) {
    return std::any_of(splits_.begin(), splits_.end(),
                       [&](const HostCsr* split) { return !split->row(user).empty(); });
  };
  for (std::int64_t first = 0; first < users.rows;) {
    if (!held_out(first)) {
      ++first;
      continue;
    }
    const std::int64_t count = std::min(block_users_, users.rows - first);
    const auto values = static_cast<std::size_t>(count * depth_);
    scorer_.rank(backend_, users.row_range(first, count), items, depth_, history_.row_range(first, count),
                 ids_.span().first(values), scores_.span().first(values),
                 {workspace_.data(), workspace_.bytes()});
    backend_.copy_to_host(ranked_.data(), ids_.data(), values * sizeof(std::int32_t));
    for (std::int64_t i = 0; i < count; ++i) {
      if (held_out(first + i))
        body(first + i, ConstIndexView(ranked_.data() + i * depth_, static_cast<std::size_t>(depth_)));
    }
    first += count;
  }
}

}  // namespace sea
