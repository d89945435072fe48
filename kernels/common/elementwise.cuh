#pragma once

#include <algorithm>

#include "common/launch.cuh"

namespace sea::cuda {

/// Whether four floats can be read or written at a time from the start of every row.
inline bool rows_aligned(ConstMatrixView matrix) {
  return reinterpret_cast<std::uintptr_t>(matrix.data) % 16 == 0 &&
         (matrix.leading_dimension % 4 == 0 || matrix.rows <= 1);
}

/// Whether all rows can be copied 16 bytes at a time by `copy_async`, those included that a tile has below
/// the last one, of which nothing is read but whose addresses must be aligned as well.
inline bool copies_aligned(ConstMatrixView matrix) {
  return rows_aligned(matrix) && matrix.leading_dimension % 4 == 0 && matrix.columns % 4 == 0;
}

/// Four neighbouring floats of a row, or one.
template <int width>
struct Pack {
  float value[width];
};

template <int width>
__device__ __forceinline__ Pack<width> load_pack(const float* address) {
  static_assert(width == 1 || width == 4, "one float or 16 bytes");
  if constexpr (width == 4) {
    const float4 four = *reinterpret_cast<const float4*>(address);
    return {{four.x, four.y, four.z, four.w}};
  } else {
    return {{*address}};
  }
}

template <int width>
__device__ __forceinline__ void store_pack(float* address, const Pack<width>& pack) {
  if constexpr (width == 4) {
    *reinterpret_cast<float4*>(address) =
        make_float4(pack.value[0], pack.value[1], pack.value[2], pack.value[3]);
  } else {
    *address = pack.value[0];
  }
}

constexpr std::int64_t most_blocks_along_y = 65'535;

/// Threads for the elements of a matrix, one for each `width` neighbouring columns of a row: rows down the
/// first dimension of blocks and the second one of threads, columns along the others. A row of more blocks
/// than CUDA has along y, as the values of a large learned graph are, goes on along z.
inline Grid elementwise_grid(std::int64_t rows, std::int64_t columns, std::int64_t width) {
  const std::int64_t packs = blocks_of(columns, width);
  std::int64_t across = 1;
  while (across < packs && across < 256) across *= 2;
  const std::int64_t down = 256 / across;
  const std::int64_t blocks = blocks_of(packs, across);
  const std::int64_t layers = std::max<std::int64_t>(blocks_of(blocks, most_blocks_along_y), 1);
  return {dim3(grid_size(blocks_of(rows, down)), grid_size(blocks_of(blocks, layers)), grid_size(layers)),
          dim3(grid_size(across), grid_size(down))};
}

/// The row of this thread.
__device__ __forceinline__ std::int64_t elementwise_row() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
}

/// The first of its `width` columns, which may lie behind the last one of the matrix.
template <int width>
__device__ __forceinline__ std::int64_t elementwise_column() {
  const std::int64_t block = static_cast<std::int64_t>(blockIdx.z) * gridDim.y + blockIdx.y;
  return (block * blockDim.x + threadIdx.x) * width;
}

namespace detail {

template <int width, class Function, class... Inputs>
__device__ __forceinline__ void apply_function(const Function& function, float* y, const Inputs*... inputs) {
  Pack<width> result;
  const auto apply = [&](const auto&... packs) {
#pragma unroll
    for (int i = 0; i < width; ++i) result.value[i] = function(packs.value[i]...);
  };
  apply(load_pack<width>(inputs)...);
  store_pack<width>(y, result);
}

template <int width, class Function, class... Inputs>
__global__ void elementwise_kernel(Function function, MatrixView y, Inputs... inputs) {
  const std::int64_t i = elementwise_row();
  std::int64_t j = elementwise_column<width>();
  if (i >= y.rows) return;
  if (j + width <= y.columns) {
    apply_function<width>(function, &y(i, j), &inputs(i, j)...);
  } else {
    for (; j < y.columns; ++j) apply_function<1>(function, &y(i, j), &inputs(i, j)...);
  }
}

}  // namespace detail

/// y(i, j) = function(inputs(i, j)...) for matrices of one shape; y may be one of the inputs. `function` is
/// an object with a __device__ operator() on floats.
template <class Function, class... Inputs>
void elementwise(cudaStream_t stream, const char* operator_name, const Function& function, MatrixView y,
                 const Inputs&... inputs) {
  const auto start = [&](auto kernel, std::int64_t width) {
    launch(stream, operator_name, elementwise_grid(y.rows, y.columns, width), kernel, function, y, inputs...);
  };
  if (rows_aligned(y) && (rows_aligned(inputs) && ...)) {
    start(&detail::elementwise_kernel<4, Function, Inputs...>, 4);
  } else {
    start(&detail::elementwise_kernel<1, Function, Inputs...>, 1);
  }
}

}  // namespace sea::cuda
