#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "sea/detail/checks/rows.hpp"

// Rows by their index, and the sum of their gradients by row.
//
// Floor, forward: 8 bytes per element of Y and 4 an index. Backward: dX written once, (rows) w floats, and dY
// read from the second-level cache. Forward one thread takes four neighbouring columns. Backward one warp
// takes one row of dX: it finds where its node's sources begin in the sorted batch by bisection, a dozen
// reads that all warps share in the caches, and adds up in their order those of the role that was gathered.
// Nothing has to be cleared before, and no two warps write one row.

namespace sea {

namespace {

using cuda::Pack;

constexpr int block_threads = 256;
constexpr int block_warps = block_threads / 32;

template <int width>
__global__ void gather_rows_kernel(ConstMatrixView x, const std::int32_t* index, const StepState* state,
                                   MatrixView y) {
  const std::int64_t i = cuda::elementwise_row();
  std::int64_t j = cuda::elementwise_column<width>();
  if (i >= y.rows || j >= y.columns) return;
  const bool valid = state == nullptr || i < state->count;
  const float* row = valid ? x.row(index[i]) : nullptr;
  if (j + width <= y.columns) {
    cuda::store_pack<width>(&y(i, j), valid ? cuda::load_pack<width>(row + j) : Pack<width>{});
  } else {
    for (; j < y.columns; ++j) y(i, j) = valid ? row[j] : 0.0f;
  }
}

template <int width>
__global__ void __launch_bounds__(block_threads)
    gather_rows_backward_kernel(ConstMatrixView dy, BatchOrderView order, BatchRole role,
                                std::int64_t first_node, const StepState* state, MatrixView dx) {
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * block_warps + threadIdx.x / 32;
  if (r >= dx.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t node = first_node + r, places = 3 * state->count, batch_size = dy.rows;
  std::int64_t begin = 0;
  for (std::int64_t end = places; begin < end;) {
    const std::int64_t middle = (begin + end) / 2;
    if (order.nodes[middle] < node) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  const std::int64_t first_source = static_cast<std::int64_t>(role) * batch_size;
  for (std::int64_t j = lane * width; j < dx.columns; j += 32 * width) {
    Pack<width> sum = {};
    for (std::int64_t s = begin; s < places && order.nodes[s] == node; ++s) {
      const std::int64_t place = order.sources[s] - first_source;
      if (place < 0 || place >= batch_size) continue;
      const Pack<width> part = cuda::load_pack<width>(&dy(place, j));
#pragma unroll
      for (int e = 0; e < width; ++e) sum.value[e] += part.value[e];
    }
    cuda::store_pack<width>(&dx(r, j), sum);
  }
}

}  // namespace

void CudaBackend::gather_rows(ConstMatrixView x, ConstIndexView index, const StepState* state, MatrixView y) {
  checks::gather_rows(x, index, y);
  const auto start = [&](auto kernel, std::int64_t width) {
    cuda::launch(context_->stream, "gather_rows", cuda::elementwise_grid(y.rows, y.columns, width), kernel, x,
                 index.data(), state, y);
  };
  if (cuda::rows_aligned(x) && cuda::rows_aligned(y)) {
    start(&gather_rows_kernel<4>, 4);
  } else {
    start(&gather_rows_kernel<1>, 1);
  }
}

void CudaBackend::gather_rows_backward(ConstMatrixView dy, const BatchOrderView& order, BatchRole role,
                                       std::int64_t first_node, const StepState* state, MatrixView dx) {
  constexpr const char* name = "gather_rows_backward";
  checks::gather_rows_backward(dy, order, dx);
  const bool aligned = dx.columns % 4 == 0 && cuda::rows_aligned(dy) && cuda::rows_aligned(dx);
  cuda::launch(context_->stream, name,
               {dim3(cuda::grid_size(cuda::blocks_of(dx.rows, block_warps))), dim3(block_threads)},
               aligned ? &gather_rows_backward_kernel<4> : &gather_rows_backward_kernel<1>, dy, order, role,
               first_node, state, dx);
}

}  // namespace sea
