#include <cstdint>

#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/sort.cuh"
#include "sea/detail/checks/steps.hpp"

namespace sea {

namespace {

constexpr int block_threads = 256;
constexpr std::int32_t behind_all_nodes = INT32_MAX;

// The sort is one of all places of the batch, since how many are valid is known to the device alone: the
// others get a key that no node has.
__global__ void __launch_bounds__(block_threads)
    list_nodes_kernel(const std::int32_t* users, const std::int32_t* positives, const std::int32_t* negatives,
                      std::int64_t batch_size, std::int32_t first_item, const StepState* state,
                      std::int32_t* nodes, std::int32_t* sources) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= batch_size) return;
  const bool valid = i < state->count;
  nodes[i] = valid ? users[i] : behind_all_nodes;
  nodes[batch_size + i] = valid ? first_item + positives[i] : behind_all_nodes;
  nodes[2 * batch_size + i] = valid ? first_item + negatives[i] : behind_all_nodes;
  for (std::int64_t place = i; place < 3 * batch_size; place += batch_size) {
    sources[place] = static_cast<std::int32_t>(place);
  }
}

}  // namespace

std::size_t CudaBackend::sort_batch_workspace(std::int64_t batch_size) const {
  return 2 * cuda::scratch_bytes<std::int32_t>(3 * batch_size) +
         cuda::scratch_bytes<std::byte>(static_cast<std::int64_t>(cuda::sort_pairs_bytes(3 * batch_size)));
}

void CudaBackend::sort_batch(const BatchView& batch, std::int64_t users, const StepState* state,
                             const BatchOrderView& order, Workspace workspace) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::sort_batch(batch, users, order);
  if (batch_size == 0) return;
  cuda::Scratch scratch("sort_batch", workspace);
  auto* nodes = scratch.take<std::int32_t>(3 * batch_size);
  auto* sources = scratch.take<std::int32_t>(3 * batch_size);
  const std::size_t sort_bytes = cuda::sort_pairs_bytes(3 * batch_size);
  auto* sort_memory = scratch.take<std::byte>(static_cast<std::int64_t>(sort_bytes));
  cuda::launch(context_->stream, "sort_batch",
               {dim3(cuda::grid_size(cuda::blocks_of(batch_size, block_threads))), dim3(block_threads)},
               &list_nodes_kernel, batch.users.data(), batch.positives.data(), batch.negatives.data(),
               batch_size, static_cast<std::int32_t>(users), state, nodes, sources);
  cuda::sort_pairs(context_->stream, "sort_batch", nodes, order.nodes.data(), sources, order.sources.data(),
                   3 * batch_size, sort_memory, sort_bytes);
}

}  // namespace sea
