#include "common/context.cuh"
#include "common/launch.cuh"
#include "sea/detail/checks/steps.hpp"
#include "sea/detail/free_number.hpp"
#include "sea/keyed_permutation.hpp"

namespace sea {

namespace {

constexpr int block_threads = 64;
constexpr std::uint32_t rejections = 32;

struct Shared {
  KeyedPermutation order;
};

// One thread per triple, in small blocks, as sample_batch has it. The permutation's keys depend on the step,
// which only the device knows: the first thread of a block draws them for the others.
__global__ void __launch_bounds__(block_threads)
    sample_user_batch_kernel(CsrPatternView history, const std::int32_t* eligible, std::uint32_t users_count,
                             bool distinct, std::uint64_t seed, const StepState* state, std::int32_t* users,
                             std::int32_t* positives, std::int32_t* negatives) {
  Shared& shared = cuda::shared_memory<Shared>();
  const StepState now = *state;
  if (threadIdx.x == 0)
    shared.order = KeyedPermutation(seed, RandomPurpose::batch_user, now.step, users_count);
  __syncthreads();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= now.count) return;

  const auto draw = [&](RandomPurpose purpose, std::uint32_t attempt, std::uint32_t bound) {
    return uniform_below(random_bits(seed, purpose, now.step, i, attempt), bound);
  };
  const std::int32_t user = eligible[distinct ? shared.order(static_cast<std::uint32_t>(i))
                                              : draw(RandomPurpose::batch_user, 0, users_count)];
  const std::int64_t begin = history.row_offsets[user];
  const std::int64_t count = history.row_offsets[user + 1] - begin;
  const std::int32_t* taken = history.column_indices + begin;
  const auto items = static_cast<std::uint32_t>(history.columns);
  std::int64_t negative = -1;
  for (std::uint32_t attempt = 0; attempt < rejections && negative < 0; ++attempt) {
    const std::uint32_t item = draw(RandomPurpose::negative, attempt, items);
    if (!detail::contains(taken, count, item)) negative = item;
  }
  if (negative < 0) {
    const std::uint32_t free = items - static_cast<std::uint32_t>(count);
    negative = detail::free_number(taken, count, draw(RandomPurpose::negative, rejections, free));
  }
  users[i] = user;
  positives[i] = taken[draw(RandomPurpose::batch_item, 0, static_cast<std::uint32_t>(count))];
  negatives[i] = static_cast<std::int32_t>(negative);
}

}  // namespace

void CudaBackend::sample_user_batch(const UserSamplingView& sampling, std::uint64_t seed,
                                    const StepState* state, const BatchView& batch) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::sample_user_batch(sampling, batch);
  const auto users = static_cast<std::int64_t>(sampling.users.size());
  cuda::launch(context_->stream, "sample_user_batch",
               {dim3(cuda::grid_size(cuda::blocks_of(batch_size, block_threads))), dim3(block_threads),
                sizeof(Shared)},
               &sample_user_batch_kernel, sampling.history, sampling.users.data(),
               static_cast<std::uint32_t>(users), batch_size <= users, seed, state, batch.users.data(),
               batch.positives.data(), batch.negatives.data());
}

}  // namespace sea
