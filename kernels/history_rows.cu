#include "common/context.cuh"
#include "common/launch.cuh"
#include "sea/detail/checks/rows.hpp"

// Histories of a batch's users as dense rows of zeros and ones.
//
// Floor: 4 bytes per element written; the histories themselves are a few entries per row. A block takes a
// row: it fills it, and after a barrier writes the history's places once more.

namespace sea {

namespace {

constexpr int block_threads = 256;

__global__ void __launch_bounds__(block_threads)
    history_rows_kernel(CsrPatternView history, const std::int32_t* users, bool inverted,
                        const StepState* state, MatrixView y) {
  const std::int64_t i = blockIdx.x;
  const bool valid = i < state->count;
  const float rest = valid && inverted ? 1.0f : 0.0f;
  for (std::int64_t j = threadIdx.x; j < y.columns; j += block_threads) y(i, j) = rest;
  if (!valid) return;
  __syncthreads();
  const std::int64_t end = history.row_offsets[users[i] + 1];
  for (std::int64_t entry = history.row_offsets[users[i]] + threadIdx.x; entry < end; entry += block_threads)
    y(i, history.column_indices[entry]) = inverted ? 0.0f : 1.0f;
}

}  // namespace

void CudaBackend::history_rows(const CsrPatternView& history, ConstIndexView users, bool inverted,
                               const StepState* state, MatrixView y) {
  const auto batch_size = static_cast<std::int64_t>(users.size());
  checks::history_rows(history, users, y);
  cuda::launch(context_->stream, "history_rows", {dim3(cuda::grid_size(batch_size)), dim3(block_threads)},
               &history_rows_kernel, history, users.data(), inverted, state, y);
}

}  // namespace sea
