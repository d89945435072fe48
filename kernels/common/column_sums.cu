#include "common/column_sums.cuh"

namespace sea::cuda {

namespace {

using Shared = ColumnShared<float, 1>;

__global__ void chunk_kernel(RowChunks chunks, ConstMatrixView x, float* partials) {
  chunk_sums<float, 1>(chunks, x.columns, partials,
                       [&](std::int64_t i, std::int64_t j, float(&sums)[1]) { sums[0] += x(i, j); });
}

__global__ void total_kernel(RowChunks chunks, std::int64_t columns, const float* partials, float* sums) {
  float total[1];
  total_sums(chunks, columns, partials, total);
  if (threadIdx.y == 0 && block_column() < columns) sums[block_column()] = total[0];
}

}  // namespace

void column_sums(cudaStream_t stream, const char* operator_name, ConstMatrixView x, float* partials,
                 float* sums) {
  const RowChunks chunks(x.rows);
  launch(stream, operator_name, column_grid<Shared>(x.columns, chunks.count), &chunk_kernel, chunks, x,
         partials);
  launch(stream, operator_name, column_grid<Shared>(x.columns, 1), &total_kernel, chunks, x.columns, partials,
         sums);
}

}  // namespace sea::cuda
