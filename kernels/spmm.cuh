#pragma once

#include "common/elementwise.cuh"
#include "common/launch.cuh"
#include "variants.cuh"

// Y = A X + residual.
//
// Floor: a row of X for every edge, from the second-level cache where X fits there (SEA on Baby: 237,102
// edges of 512 bytes, 121 MB), and X, the residual and Y once from memory (13.6 MB each); two operations a
// value gathered. Nothing but the cache's bandwidth counts.
//
// A group of lanes, a warp for 128 columns and more, takes one row, 16 bytes a lane, and asks for the rows of
// X of several edges before it needs the first. A row's sum runs over its edges in their order. A row of more
// than `spmm_long_row` edges would hold its block up: all groups of the block share it, each a stretch of its
// edges, and their sums are added in the order of the stretches. Which rows are long, and how they are cut,
// depends on the matrix alone.

namespace sea::cuda {

inline constexpr std::int64_t spmm_long_row = 128;

template <class Tiling, int lanes, int width>
struct SpmmShared {
  Pack<width> partial[Tiling::threads / lanes][lanes];
};

/// The sum over the edges [begin, end) of value * X(column of the edge, j .. j + width).
template <int edges_in_flight, int width>
__device__ Pack<width> sum_edges(const CsrView& a, const ConstMatrixView& x, std::int64_t begin,
                                 std::int64_t end, std::int64_t j) {
  Pack<width> sum = {};
  for (std::int64_t edge = begin; edge < end; edge += edges_in_flight) {
    float value[edges_in_flight];
    Pack<width> source[edges_in_flight];
#pragma unroll
    for (int e = 0; e < edges_in_flight; ++e) {
      const bool there = edge + e < end;
      value[e] = there ? a.values[edge + e] : 0.0f;
      source[e] = there ? load_pack<width>(&x(a.column_indices[edge + e], j)) : Pack<width>{};
    }
#pragma unroll
    for (int e = 0; e < edges_in_flight; ++e) {
#pragma unroll
      for (int i = 0; i < width; ++i) {
        sum.value[i] = __fmaf_rn(value[e], source[e].value[i], sum.value[i]);
      }
    }
  }
  return sum;
}

template <int width>
__device__ void store_row(Pack<width> sum, const ConstMatrixView& residual, const MatrixView& y,
                          std::int64_t row, std::int64_t j) {
  if (!residual.empty()) {
    const Pack<width> added = load_pack<width>(&residual(row, j));
#pragma unroll
    for (int i = 0; i < width; ++i) sum.value[i] += added.value[i];
  }
  store_pack<width>(&y(row, j), sum);
}

/// `lanes` threads per row, `width` columns per thread; blockIdx.y counts panels of lanes * width columns.
template <class Tiling, int lanes, int width>
__global__ void __launch_bounds__(Tiling::threads)
    spmm_kernel(CsrView a, ConstMatrixView x, ConstMatrixView residual, MatrixView y) {
  constexpr int groups = Tiling::threads / lanes;
  const int group = static_cast<int>(threadIdx.x) / lanes, lane = static_cast<int>(threadIdx.x) % lanes;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * groups;
  const std::int64_t j = (static_cast<std::int64_t>(blockIdx.y) * lanes + lane) * width;
  const bool has_columns = j < x.columns;

  const std::int64_t own_row = first_row + group;
  const bool has_row = own_row < a.rows;
  const std::int64_t own_begin = has_row ? a.row_offsets[own_row] : 0;
  const std::int64_t own_end = has_row ? a.row_offsets[own_row + 1] : 0;
  const bool is_long = own_end - own_begin > spmm_long_row;
  if (has_row && has_columns && !is_long) {
    store_row(sum_edges<Tiling::edges_in_flight, width>(a, x, own_begin, own_end, j), residual, y, own_row,
              j);
  }
  if (__syncthreads_or(is_long) == 0) return;

  auto& shared = shared_memory<SpmmShared<Tiling, lanes, width>>();
  for (std::int64_t row = first_row; row < first_row + groups && row < a.rows; ++row) {
    const std::int64_t begin = a.row_offsets[row], edges = a.row_offsets[row + 1] - begin;
    if (edges <= spmm_long_row) continue;
    if (has_columns) {
      shared.partial[group][lane] = sum_edges<Tiling::edges_in_flight, width>(
          a, x, begin + edges * group / groups, begin + edges * (group + 1) / groups, j);
    }
    __syncthreads();
    if (group == 0 && has_columns) {
      Pack<width> sum = shared.partial[0][lane];
      for (int other = 1; other < groups; ++other) {
#pragma unroll
        for (int i = 0; i < width; ++i) sum.value[i] += shared.partial[other][lane].value[i];
      }
      store_row(sum, residual, y, row, j);
    }
    __syncthreads();
  }
}

template <class Tiling, int lanes, int width>
void launch_spmm(cudaStream_t stream, const CsrView& a, ConstMatrixView x, ConstMatrixView residual,
                 MatrixView y) {
  const dim3 blocks(grid_size(blocks_of(a.rows, Tiling::threads / lanes)),
                    grid_size(blocks_of(x.columns, lanes * width)));
  launch(stream, "spmm", {blocks, dim3(Tiling::threads), sizeof(SpmmShared<Tiling, lanes, width>)},
         &spmm_kernel<Tiling, lanes, width>, a, x, residual, y);
}

/// Lanes per row as the width wants them; four columns a lane where all rows are aligned.
template <class Tiling>
void start_spmm(cudaStream_t stream, const CsrView& a, ConstMatrixView x, ConstMatrixView residual,
                MatrixView y) {
  const bool aligned = x.columns % 4 == 0 && rows_aligned(x) && rows_aligned(y) &&
                       (residual.empty() || rows_aligned(residual));
  if (!aligned) {
    launch_spmm<Tiling, 32, 1>(stream, a, x, residual, y);
  } else if (x.columns <= 32) {
    launch_spmm<Tiling, 8, 4>(stream, a, x, residual, y);
  } else if (x.columns <= 64) {
    launch_spmm<Tiling, 16, 4>(stream, a, x, residual, y);
  } else {
    launch_spmm<Tiling, 32, 4>(stream, a, x, residual, y);
  }
}

}  // namespace sea::cuda
