#pragma once

#include <cstdint>

#include "common/async_copy.cuh"
#include "sea/matrix.hpp"

namespace sea::cuda {

// A tile of Q K^T in plain float32 multiply-adds, without tensor cores: whatever the order of a sum, its
// error is below the bound that topk_dot's decisions stand on, which nobody promises for the accumulators of
// tensor cores. Floor: 2 width operations per element at the float32 rate.
//
// A block forms 128 x 128 scores, a thread 8 x 8 of them. 16 columns of either operand lie in shared memory
// as they do outside, one buffer filled in the background while the other one is multiplied. A thread reads
// 16 bytes of it for 16 multiply-adds; its rows are 16 apart and lines 20 floats long, so that eight lanes
// read 32 different banks.

struct ScoreTile {
  static constexpr int rows = 128, columns = 128, depth = 16, threads = 256;

  struct Panel {
    float line[128][depth + 4];
  };
  struct Shared {
    struct {
      Panel queries, keys;
    } buffer[2];
  };

  /// Fills a panel in the background with 128 rows and 16 columns of `x`; zeros outside.
  template <int width>
  __device__ static void fill(Panel& panel, const ConstMatrixView& x, std::int64_t first_row,
                              std::int64_t first_column) {
#pragma unroll 1
    for (int part = 0; part < 128 * depth / width / threads; ++part) {
      const int at = (part * threads + static_cast<int>(threadIdx.x)) * width;
      const std::int64_t i = first_row + at / depth, j = first_column + at % depth;
      const bool inside = i < x.rows && j < x.columns;
      copy_async<width>(&panel.line[at / depth][at % depth], inside ? &x(i, j) : x.data, inside);
    }
  }

  __device__ static float4 four(const float (&line)[depth + 4], int first) {
    return *reinterpret_cast<const float4*>(line + first);
  }
};

/// The tile (blockIdx.y, blockIdx.x) of Q K^T: tile rows are queries. `scores` has room for whole tiles along
/// its columns. `width` floats are copied at a time.
template <int width>
__global__ void __launch_bounds__(ScoreTile::threads, 2)
    score_tile_kernel(ConstMatrixView queries, ConstMatrixView keys, MatrixView scores) {
  auto& shared = shared_memory<ScoreTile::Shared>();
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * ScoreTile::rows;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x) * ScoreTile::columns;
  const int row = static_cast<int>(threadIdx.x) / 16, column = static_cast<int>(threadIdx.x) % 16;
  const auto fill = [&](int b, std::int64_t j) {
    ScoreTile::fill<width>(shared.buffer[b].queries, queries, first_row, j);
    ScoreTile::fill<width>(shared.buffer[b].keys, keys, first_column, j);
    copy_async_commit();
  };
  float sums[8][8] = {};
  fill(0, 0);
  int b = 0;
  for (std::int64_t j = 0; j < queries.columns; j += ScoreTile::depth, b ^= 1) {
    fill(b ^ 1, j + ScoreTile::depth);
    copy_async_wait<1>();
    __syncthreads();
    const ScoreTile::Panel &left = shared.buffer[b].queries, &right = shared.buffer[b].keys;
#pragma unroll 1  // more would not fit in 128 registers
    for (int d = 0; d < ScoreTile::depth; d += 4) {
      float4 query[8];
#pragma unroll
      for (int r = 0; r < 8; ++r) query[r] = ScoreTile::four(left.line[row + 16 * r], d);
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        const float4 key = ScoreTile::four(right.line[column + 16 * c], d);
#pragma unroll
        for (int r = 0; r < 8; ++r) {
          float sum = sums[r][c];
          sum = __fmaf_rn(query[r].x, key.x, sum);
          sum = __fmaf_rn(query[r].y, key.y, sum);
          sum = __fmaf_rn(query[r].z, key.z, sum);
          sums[r][c] = __fmaf_rn(query[r].w, key.w, sum);
        }
      }
    }
    __syncthreads();
  }
  copy_async_wait<0>();
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const std::int64_t i = first_row + row + 16 * r;
    if (i >= queries.rows) continue;
#pragma unroll
    for (int c = 0; c < 8; ++c) scores(i, first_column + column + 16 * c) = sums[r][c];
  }
}

}  // namespace sea::cuda
