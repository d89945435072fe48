#include <algorithm>

#include "cpu/check.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/steps.hpp"
#include "sea/keyed_permutation.hpp"

namespace sea {

namespace {

constexpr std::uint32_t rejections = 32;

/// The r-th candidate, from 0, that is not in `history`. Both ascend, and `history` is part of `candidates`:
/// the number of free ones up to a position grows with it, so that the position is found by bisection.
std::int32_t free_candidate(ConstIndexView candidates, ConstIndexView history, std::int64_t r) {
  std::int64_t low = 0, high = static_cast<std::int64_t>(candidates.size()) - 1;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    const auto taken = std::upper_bound(history.begin(), history.end(), candidates[middle]) - history.begin();
    if (middle + 1 - taken > r) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return candidates[low];
}

}  // namespace

void CpuBackend::sample_batch(const SamplingView& sampling, std::uint64_t seed, const StepState* state,
                              const BatchView& batch) {
  const auto pairs = static_cast<std::int64_t>(sampling.pair_users.size());
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::sample_batch(sampling, batch);
  cpu::require(state->first >= 0 && state->count >= 0 && state->count <= batch_size &&
                   state->first + state->count <= pairs,
               "sample_batch", "the batch of the step state must lie within the pairs and the batch size");
  if (state->count == 0) return;

  const KeyedPermutation order(seed, RandomPurpose::shuffle, state->epoch, static_cast<std::uint32_t>(pairs));
  const auto candidates = static_cast<std::uint32_t>(sampling.candidates.size());
  constexpr std::int64_t block_size = 128;
  pool_->parallel_for(cpu::blocks_of(state->count, block_size), [&](std::int64_t block, int) {
    const std::int64_t end = std::min(state->count, (block + 1) * block_size);
    for (std::int64_t i = block * block_size; i < end; ++i) {
      const std::uint32_t pair = order(static_cast<std::uint32_t>(state->first + i));
      const std::int32_t user = sampling.pair_users[pair];
      cpu::require(user >= 0 && user < sampling.history.rows, "sample_batch",
                   "a pair's user must have a row in the history");
      const std::int64_t* offsets = sampling.history.row_offsets + user;
      const ConstIndexView history(sampling.history.column_indices + offsets[0],
                                   static_cast<std::size_t>(offsets[1] - offsets[0]));
      const auto draw = [&](std::uint32_t attempt, std::uint32_t bound) {
        return uniform_below(random_bits(seed, RandomPurpose::negative, state->step, i, attempt), bound);
      };
      std::int32_t negative = -1;
      for (std::uint32_t attempt = 0; attempt < rejections && negative < 0; ++attempt) {
        const std::int32_t item = sampling.candidates[draw(attempt, candidates)];
        if (!std::binary_search(history.begin(), history.end(), item)) negative = item;
      }
      if (negative < 0) {
        cpu::require(history.size() < candidates, "sample_batch",
                     "a pair's user must not have every candidate in the history");
        const auto free = candidates - static_cast<std::uint32_t>(history.size());
        negative = free_candidate(sampling.candidates, history, draw(rejections, free));
      }
      batch.users[i] = user;
      batch.positives[i] = sampling.pair_items[pair];
      batch.negatives[i] = negative;
    }
  });
}

}  // namespace sea
