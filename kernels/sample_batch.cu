#include "common/context.cuh"
#include "common/launch.cuh"
#include "sea/detail/checks/steps.hpp"
#include "sea/keyed_permutation.hpp"

namespace sea {

namespace {

constexpr int block_threads = 64;
constexpr std::uint32_t rejections = 32;

struct Shared {
  KeyedPermutation order;
};

/// How many of the ascending `values` are at most `value`.
__device__ std::int64_t count_up_to(const std::int32_t* values, std::int64_t count, std::int32_t value) {
  std::int64_t low = 0, high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (values[middle] <= value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// The r-th candidate, from 0, that is not in `history`. Both ascend, and `history` is part of `candidates`:
/// the number of free ones up to a position grows with it, so that the position is found by bisection.
__device__ std::int32_t free_candidate(const std::int32_t* candidates, std::int64_t candidate_count,
                                       const std::int32_t* history, std::int64_t history_count,
                                       std::int64_t r) {
  std::int64_t low = 0, high = candidate_count - 1;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (middle + 1 - count_up_to(history, history_count, candidates[middle]) > r) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return candidates[low];
}

// One thread a triple: all it draws depends on its place in the batch alone. Small blocks, so that a batch of
// a few thousand chains of dependent reads spreads over the device.
__global__ void __launch_bounds__(block_threads)
    sample_batch_kernel(CsrPatternView history, const std::int32_t* pair_users,
                        const std::int32_t* pair_items, std::int64_t pairs, const std::int32_t* candidates,
                        std::int64_t candidate_count, std::uint64_t seed, const StepState* state,
                        std::int32_t* users, std::int32_t* positives, std::int32_t* negatives) {
  Shared& shared = cuda::shared_memory<Shared>();
  const StepState now = *state;
  if (threadIdx.x == 0) {
    shared.order =
        KeyedPermutation(seed, RandomPurpose::shuffle, now.epoch, static_cast<std::uint32_t>(pairs));
  }
  __syncthreads();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= now.count) return;

  const std::uint32_t pair = shared.order(static_cast<std::uint32_t>(now.first + i));
  const std::int32_t user = pair_users[pair];
  const std::int64_t history_begin = history.row_offsets[user];
  const std::int64_t history_count = history.row_offsets[user + 1] - history_begin;
  const std::int32_t* taken = history.column_indices + history_begin;
  const auto draw = [&](std::uint32_t attempt, std::int64_t bound) {
    return uniform_below(random_bits(seed, RandomPurpose::negative, now.step, i, attempt),
                         static_cast<std::uint32_t>(bound));
  };
  std::int32_t negative = -1;
  for (std::uint32_t attempt = 0; attempt < rejections && negative < 0; ++attempt) {
    const std::int32_t item = candidates[draw(attempt, candidate_count)];
    const std::int64_t up_to = count_up_to(taken, history_count, item);
    if (up_to == 0 || taken[up_to - 1] != item) negative = item;
  }
  if (negative < 0) {
    negative = free_candidate(candidates, candidate_count, taken, history_count,
                              draw(rejections, candidate_count - history_count));
  }
  users[i] = user;
  positives[i] = pair_items[pair];
  negatives[i] = negative;
}

}  // namespace

void CudaBackend::sample_batch(const SamplingView& sampling, std::uint64_t seed, const StepState* state,
                               const BatchView& batch) {
  const auto pairs = static_cast<std::int64_t>(sampling.pair_users.size());
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::sample_batch(sampling, batch);
  if (pairs == 0) return;
  cuda::launch(context_->stream, "sample_batch",
               {dim3(cuda::grid_size(cuda::blocks_of(batch_size, block_threads))), dim3(block_threads),
                sizeof(Shared)},
               &sample_batch_kernel, sampling.history, sampling.pair_users.data(), sampling.pair_items.data(),
               pairs, sampling.candidates.data(), static_cast<std::int64_t>(sampling.candidates.size()), seed,
               state, batch.users.data(), batch.positives.data(), batch.negatives.data());
}

}  // namespace sea
