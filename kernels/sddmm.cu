#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/launch.cuh"
#include "sea/detail/checks/graphs.hpp"

// products[e] = a_e X[row of e] . Y[column of e] for the entries of a sparse pattern.
//
// Floor: a row of Y for every entry, from the second-level cache where Y fits there (the interaction graph of
// Baby, 237,102 entries of 256 bytes: 61 MB), X once from memory, and 8 to 12 bytes per entry; two operations
// a value gathered. Nothing but the cache's bandwidth counts.
//
// A group of eight lanes takes an entry, 16 bytes a lane (a warp and a float a lane where rows are not
// aligned), and finds X's row in the first-level cache after the first entry. A warp takes a row and its
// groups every fourth entry of it; a row of more than `long_row` entries would hold its block up: all groups
// of the block share it. Which lane forms which product does not change it: no sums beyond an entry.

namespace sea {

namespace {

constexpr int block_threads = 256;
constexpr int warps = block_threads / 32;
constexpr std::int64_t long_row = 128;

/// The products of row `row`, entries `begin` + group, + groups, ..., by groups of `lanes`.
template <int lanes, int width>
__device__ void row_products(const CsrView& a, const ConstMatrixView& x, const ConstMatrixView& y,
                             float* products, std::int64_t row, std::int64_t group, std::int64_t groups) {
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const std::int64_t end = a.row_offsets[row + 1];
  const float* from_x = x.row(row);
  // All groups of a warp go round as often, since they meet in the shuffles.
  for (std::int64_t first = a.row_offsets[row]; first < end; first += groups) {
    const std::int64_t entry = first + group;
    float sum = 0.0f;
    if (entry < end) {
      const float* from_y = y.row(a.column_indices[entry]);
      for (std::int64_t j = lane * width; j < x.columns; j += lanes * width) {
        const cuda::Pack<width> left = cuda::load_pack<width>(from_x + j);
        const cuda::Pack<width> right = cuda::load_pack<width>(from_y + j);
#pragma unroll
        for (int i = 0; i < width; ++i) sum = __fmaf_rn(left.value[i], right.value[i], sum);
      }
    }
#pragma unroll
    for (int half = lanes / 2; half > 0; half /= 2) sum += __shfl_xor_sync(cuda::full_warp, sum, half);
    if (entry < end && lane == 0) products[entry] = a.values != nullptr ? a.values[entry] * sum : sum;
  }
}

template <int lanes, int width>
__global__ void __launch_bounds__(block_threads)
    sddmm_kernel(CsrView a, ConstMatrixView x, ConstMatrixView y, float* products) {
  constexpr int groups_of_warp = 32 / lanes, groups_of_block = block_threads / lanes;
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * warps;
  const std::int64_t own_row = first_row + thread / 32;
  const std::int64_t entries = own_row < a.rows ? a.row_offsets[own_row + 1] - a.row_offsets[own_row] : 0;
  if (entries <= long_row && entries > 0) {
    row_products<lanes, width>(a, x, y, products, own_row, thread % 32 / lanes, groups_of_warp);
  }
  if (__syncthreads_or(entries > long_row) == 0) return;
  for (std::int64_t row = first_row; row < first_row + warps && row < a.rows; ++row) {
    if (a.row_offsets[row + 1] - a.row_offsets[row] <= long_row) continue;
    row_products<lanes, width>(a, x, y, products, row, thread / lanes, groups_of_block);
  }
}

}  // namespace

void CudaBackend::sddmm(const CsrView& a, ConstMatrixView x, ConstMatrixView y, VectorView products) {
  checks::sddmm(a, x, y);
  const cuda::Grid grid{dim3(cuda::grid_size(cuda::blocks_of(a.rows, warps))), dim3(block_threads)};
  const bool aligned = x.columns % 4 == 0 && cuda::rows_aligned(x) && cuda::rows_aligned(y);
  cuda::launch(context_->stream, "sddmm", grid, aligned ? &sddmm_kernel<8, 4> : &sddmm_kernel<32, 1>, a, x, y,
               products.data());
}

}  // namespace sea
