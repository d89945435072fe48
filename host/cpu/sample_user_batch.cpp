#include <algorithm>

#include "cpu/check.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/steps.hpp"
#include "sea/detail/free_number.hpp"
#include "sea/keyed_permutation.hpp"

namespace sea {

namespace {

constexpr std::uint32_t rejections = 32;

}  // namespace

void CpuBackend::sample_user_batch(const UserSamplingView& sampling, std::uint64_t seed,
                                   const StepState* state, const BatchView& batch) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::sample_user_batch(sampling, batch);
  cpu::require_count("sample_user_batch", state->count, 0, batch_size);
  if (state->count == 0) return;

  const auto users = static_cast<std::uint32_t>(sampling.users.size());
  const bool distinct = batch_size <= static_cast<std::int64_t>(users);
  const auto items = static_cast<std::uint32_t>(sampling.history.columns);
  const KeyedPermutation order(seed, RandomPurpose::batch_user, state->step, users);
  constexpr std::int64_t block_size = 128;
  pool_->parallel_for(cpu::blocks_of(state->count, block_size), [&](std::int64_t block, int) {
    const std::int64_t end = std::min(state->count, (block + 1) * block_size);
    for (std::int64_t i = block * block_size; i < end; ++i) {
      const auto draw = [&](RandomPurpose purpose, std::uint32_t attempt, std::uint32_t bound) {
        return uniform_below(random_bits(seed, purpose, state->step, i, attempt), bound);
      };
      const std::int32_t user = sampling.users[distinct ? order(static_cast<std::uint32_t>(i))
                                                        : draw(RandomPurpose::batch_user, 0, users)];
      cpu::require(user >= 0 && user < sampling.history.rows, "sample_user_batch",
                   "a user to be drawn must have a row in the history");
      const std::int64_t* offsets = sampling.history.row_offsets + user;
      const std::int32_t* taken = sampling.history.column_indices + offsets[0];
      const std::int64_t count = offsets[1] - offsets[0];
      cpu::require(count > 0 && count < sampling.history.columns, "sample_user_batch",
                   "a user to be drawn must have a training item, and not every item");
      std::int64_t negative = -1;
      for (std::uint32_t attempt = 0; attempt < rejections && negative < 0; ++attempt) {
        const std::uint32_t item = draw(RandomPurpose::negative, attempt, items);
        if (!detail::contains(taken, count, item)) negative = item;
      }
      if (negative < 0) {
        const auto free = items - static_cast<std::uint32_t>(count);
        negative = detail::free_number(taken, count, draw(RandomPurpose::negative, rejections, free));
      }
      batch.users[i] = user;
      batch.positives[i] = taken[draw(RandomPurpose::batch_item, 0, static_cast<std::uint32_t>(count))];
      batch.negatives[i] = static_cast<std::int32_t>(negative);
    }
  });
}

}  // namespace sea
