#pragma once

#include <algorithm>
#include <cstdint>

#include "common/launch.cuh"

namespace sea::cuda {

// Sums over the rows of a tall matrix, column by column, without atomics: the rows are cut into chunks, by
// their number alone; a block sums one chunk of 32 columns and leaves its sums in memory; whoever needs the
// totals adds the chunks' sums up, in their order.

inline constexpr int column_block_columns = 32;
inline constexpr int column_block_rows = 8;  ///< rows that a block reads at one time

/// How the rows are cut.
struct RowChunks {
  std::int64_t rows = 0;
  std::int64_t chunk_rows = 0;
  std::int64_t count = 0;

  explicit RowChunks(std::int64_t rows_)
      : rows(rows_),
        chunk_rows(std::max<std::int64_t>(blocks_of(rows_, 64), 128)),
        count(blocks_of(rows_, chunk_rows)) {}
};

/// The launch of one block for each `chunks` x 32 columns; threadIdx.x is the column, threadIdx.y the row.
template <class Shared>
Grid column_grid(std::int64_t columns, std::int64_t chunks) {
  return {dim3(grid_size(blocks_of(columns, column_block_columns)), grid_size(chunks)),
          dim3(column_block_columns, column_block_rows), sizeof(Shared)};
}

/// The column of this thread.
__device__ inline std::int64_t block_column() {
  return static_cast<std::int64_t>(blockIdx.x) * column_block_columns + threadIdx.x;
}

/// Shared memory of `chunk_sums` and `total_sums`.
template <class T, int count>
struct ColumnShared {
  T sums[count][column_block_rows][column_block_columns];
};

/// The threads' sums of one column, added in the order of threadIdx.y, in every thread of it.
template <class T, int count>
__device__ void add_block_rows(T (&sums)[count]) {
  auto& shared = shared_memory<ColumnShared<T, count>>();
  for (int s = 0; s < count; ++s) shared.sums[s][threadIdx.y][threadIdx.x] = sums[s];
  __syncthreads();
  for (int s = 0; s < count; ++s) {
    sums[s] = shared.sums[s][0][threadIdx.x];
    for (int r = 1; r < column_block_rows; ++r) sums[s] += shared.sums[s][r][threadIdx.x];
  }
  __syncthreads();
}

/// Chunk blockIdx.y: `term(i, j, sums)` adds what row i contributes to the `count` sums of column j, and
/// partials[(chunk * count + s) * columns + j] gets the chunk's sum s.
template <class T, int count, class Term>
__device__ void chunk_sums(const RowChunks& chunks, std::int64_t columns, T* partials, const Term& term) {
  const std::int64_t j = block_column(), chunk = blockIdx.y;
  const std::int64_t end = min(chunks.rows, (chunk + 1) * chunks.chunk_rows);
  T sums[count] = {};
  if (j < columns) {
#pragma unroll 4
    for (std::int64_t i = chunk * chunks.chunk_rows + threadIdx.y; i < end; i += column_block_rows) {
      term(i, j, sums);
    }
  }
  add_block_rows(sums);
  if (threadIdx.y > 0 || j >= columns) return;
  for (int s = 0; s < count; ++s) partials[(chunk * count + s) * columns + j] = sums[s];
}

/// The totals of this thread's column, from what `chunk_sums` left. Called by all threads of a block.
template <class T, int count>
__device__ void total_sums(const RowChunks& chunks, std::int64_t columns, const T* partials,
                           T (&totals)[count]) {
  const std::int64_t j = block_column();
  for (int s = 0; s < count; ++s) totals[s] = T{};
  if (j < columns) {
#pragma unroll 4
    for (std::int64_t chunk = threadIdx.y; chunk < chunks.count; chunk += column_block_rows) {
      for (int s = 0; s < count; ++s) totals[s] += partials[(chunk * count + s) * columns + j];
    }
  }
  add_block_rows(totals);
}

/// Values of the `partials` of `column_sums`.
inline std::int64_t column_sums_partials(std::int64_t rows, std::int64_t columns) {
  return RowChunks(rows).count * columns;
}

/// sums[j] = the sum of column j of `x`.
void column_sums(cudaStream_t stream, const char* operator_name, ConstMatrixView x, float* partials,
                 float* sums);

}  // namespace sea::cuda
