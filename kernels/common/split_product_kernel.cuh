#pragma once

#include <algorithm>
#include <cstdint>

#include "common/async_copy.cuh"
#include "common/check.cuh"
#include "common/elementwise.cuh"
#include "common/launch.cuh"
#include "common/tensor_core.cuh"
#include "variants.cuh"

// The kernel of split_product.cu, for any tile of variants.cuh.

namespace sea::cuda::split {

inline constexpr int depth = 32;  ///< of k in one buffer

struct Product {
  ConstMatrixView a, b;  ///< as they are stored
  MatrixView c;
  const float* bias;
  float alpha, beta;
  std::int64_t k, k_of_part = 0;
  std::int64_t row_tiles = 0, column_tiles = 0;
  float* parts =
      nullptr;  ///< of C, and of `row_sums` behind them all; null: the only part goes there at once
  float* row_sums = nullptr;  ///< the sums of op(A)'s rows over k, where they are wanted

  __device__ float* parts_of_sums(std::int64_t count) const { return parts + count * c.rows * c.columns; }
};

/// Which tile of C a block forms, over which part of k.
struct Task {
  std::int64_t tile, part, parts;
};

/// Where a tile of C, and a warp's part of it, begin. Tiles are counted along the shorter side first, so that
/// neighbouring blocks read the same rows of the longer operand.
template <class Tile>
struct Place {
  std::int64_t row, column;
  int warp_row, warp_column;

  __device__ __forceinline__ Place(const Product& product, std::int64_t tile) {
    const std::int64_t short_side = min(product.row_tiles, product.column_tiles);
    const std::int64_t along_short = tile % short_side, along_long = tile / short_side;
    const bool few_rows = product.row_tiles <= product.column_tiles;
    row = (few_rows ? along_short : along_long) * Tile::rows;
    column = (few_rows ? along_long : along_short) * Tile::columns;
    constexpr int warps_down = Tile::rows / Tile::warp_rows;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    warp_row = warp % warps_down * Tile::warp_rows;
    warp_column = warp / warps_down * Tile::warp_columns;
  }
};

/// `extent` rows of op(A), or columns of op(B), in a buffer. `along`: k is what lies side by side in memory.
/// Rows are so long that the lanes of a warp read different banks, unless `padding` is 0.
template <int extent, bool along, int padding = along ? 8 : 4>
struct Operand {
  static constexpr int stride = (along ? depth : extent) + padding;
  alignas(16) float values[(along ? extent : depth) * stride];

  __device__ __forceinline__ float at(int i, int k) const {
    return along ? values[i * stride + k] : values[k * stride + i];
  }
  /// The elements k and k + 1.
  __device__ __forceinline__ float2 pair(int i, int k) const {
    if constexpr (along) {
      return *reinterpret_cast<const float2*>(&values[i * stride + k]);
    } else {
      return make_float2(at(i, k), at(i, k + 1));
    }
  }
};

/// Fills the buffers of an operand, `width` floats a copy: this thread's place in them, and in the matrix.
template <int extent, bool along, int width, int threads>
class Copies {
 public:
  static constexpr int packs_of_row = (along ? depth : extent) / width;
  static constexpr int rows_at_once = threads / packs_of_row;
  static constexpr int count = (along ? extent : depth) / rows_at_once;  ///< of a thread
  static_assert(threads % packs_of_row == 0 && (along ? extent : depth) % rows_at_once == 0);

  __device__ Copies(const ConstMatrixView& matrix, std::int64_t first, std::int64_t k_first) {
    const int thread = static_cast<int>(threadIdx.x);
    row_ = thread / packs_of_row;
    column_ = thread % packs_of_row * width;
    const std::int64_t row = (along ? first : k_first) + row_, column = (along ? k_first : first) + column_;
    from_ = matrix.data + row * matrix.leading_dimension + column;
    to_next_ = rows_at_once * matrix.leading_dimension;
    to_next_buffer_ = along ? depth : depth * matrix.leading_dimension;
    if constexpr (along) {
      rows_left_ = static_cast<int>(min(matrix.rows - row, std::int64_t{extent}));
    } else {
      inside_ = column < matrix.columns;
    }
  }

  /// Starts the copies of the next `depth` of k, of which `k_left` are there.
  template <int padding>
  __device__ __forceinline__ void start(Operand<extent, along, padding>& buffer, int k_left) {
    const float* from = from_;
    float* to = &buffer.values[row_ * buffer.stride + column_];
#pragma unroll
    for (int i = 0; i < count; ++i) {
      bool valid;
      if constexpr (along) {
        valid = i * rows_at_once < rows_left_ && column_ < k_left;
      } else {
        valid = inside_ && row_ + i * rows_at_once < k_left;
      }
      copy_async<width>(to + i * rows_at_once * buffer.stride, from, valid);
      from += to_next_;
    }
    from_ += to_next_buffer_;
  }

 private:
  const float* from_;
  std::int64_t to_next_, to_next_buffer_;
  int row_, column_, rows_left_ = 0;
  bool inside_ = false;
};

template <class Tile, bool a_along, bool b_along, int a_padding = a_along ? 8 : 4,
          int b_padding = b_along ? 8 : 4>
struct Buffer {
  Operand<Tile::rows, a_along, a_padding> a;
  Operand<Tile::columns, b_along, b_padding> b;
};

/// What a warp has of its part of the tile, in the order of mma_m16n8k8.
template <class Tile>
using Sums = float[Tile::warp_rows / 16][Tile::warp_columns / 8][4];

/// And the sums of its rows of op(A), of which a lane has every fourth pair along k.
template <class Tile>
using RowSums = float[Tile::warp_rows / 16][2];

/// Where a gradient of weights comes from, dY^T X, dY's column sums are wanted as well: op(A)'s rows.
template <bool a_along, bool b_along>
inline constexpr bool adds_rows = !a_along && !b_along;

/// Adds the products of a buffer's elements, and with `adds` its rows of op(A).
template <class Tile, bool adds, class TileBuffer>
__device__ __forceinline__ void multiply(const TileBuffer& buffer, int warp_row, int warp_column,
                                         Sums<Tile>& sums, RowSums<Tile>& row_sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, place = lane % 4;
  RowSums<Tile> step = {};  // short sums first: thousands of elements one after the other would lose bits
#pragma unroll 2            // unrolled further, it needs more registers than there are
  for (int k = 0; k < depth; k += 8) {
    SplitA a[Tile::warp_rows / 16];
#pragma unroll
    for (int i = 0; i < Tile::warp_rows / 16; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float2 pair = buffer.a.pair(warp_row + 16 * i + 8 * half + group, k + 2 * place);
        a[i].set(half, pair.x);
        a[i].set(half + 2, pair.y);
        if constexpr (adds) step[i][half] += pair.x + pair.y;
      }
    }
#pragma unroll
    for (int j = 0; j < Tile::warp_columns / 8; ++j) {
      SplitB b;
      const float2 pair = buffer.b.pair(warp_column + 8 * j + group, k + 2 * place);
      b.set(0, pair.x);
      b.set(1, pair.y);
#pragma unroll
      for (int i = 0; i < Tile::warp_rows / 16; ++i) mma_m16n8k8_tf32x3(sums[i][j], a[i], b);
    }
  }
  if constexpr (adds) {
#pragma unroll
    for (int i = 0; i < Tile::warp_rows / 16; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) row_sums[i][half] += step[i][half];
    }
  }
}

/// An element of C from the sum of all its products.
__device__ __forceinline__ void finish(const Product& product, std::int64_t i, std::int64_t j, float sum) {
  float* c = &product.c(i, j);
  float value = product.alpha * sum;
  if (product.beta != 0.0f) value = __fmaf_rn(product.beta, *c, value);
  if (product.bias != nullptr) value += product.bias[j];
  *c = value;
}

/// Writes what a warp has of its part of the tile: of C, or of a part of k.
template <class Tile>
__device__ __forceinline__ void store_sums(const Product& product, const Task& task, const Place<Tile>& at,
                                           const Sums<Tile>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, place = lane % 4;
#pragma unroll
  for (int i = 0; i < Tile::warp_rows / 16; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::warp_columns / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const std::int64_t to_row = at.row + at.warp_row + 16 * i + e / 2 * 8 + group;
        const std::int64_t to_column = at.column + at.warp_column + 8 * j + 2 * place + e % 2;
        if (to_row >= product.c.rows || to_column >= product.c.columns) continue;
        if (product.parts != nullptr) {
          product.parts[(task.part * product.c.rows + to_row) * product.c.columns + to_column] =
              sums[i][j][e];
        } else {
          finish(product, to_row, to_column, sums[i][j][e]);
        }
      }
    }
  }
}

/// Where the sum of a row of op(A) goes: of all, or of a part of k.
__device__ __forceinline__ float* place_of_row_sums(const Product& product, const Task& task) {
  return product.parts == nullptr ? product.row_sums
                                  : product.parts_of_sums(task.parts) + task.part * product.c.rows;
}

template <class Tile, bool a_along, bool b_along, int width>
__device__ __forceinline__ void form_tile(const Product& product, const Task& task) {
  using TileBuffer = Buffer<Tile, a_along, b_along>;
  auto& buffer = shared_memory<TileBuffer[Tile::buffers]>();
  const Place<Tile> at(product, task.tile);
  const std::int64_t k_first = task.part * product.k_of_part;
  int k_left = static_cast<int>(min(product.k_of_part, product.k - k_first));
  const int steps = (k_left + depth - 1) / depth;

  Copies<Tile::rows, a_along, width, Tile::threads> a(product.a, at.row, k_first);
  Copies<Tile::columns, b_along, width, Tile::threads> b(product.b, at.column, k_first);
  const auto copy = [&](int step) {
    if (step < steps) {
      a.start(buffer[step % Tile::buffers].a, k_left);
      b.start(buffer[step % Tile::buffers].b, k_left);
      k_left -= depth;
    }
    copy_async_commit();
  };
#pragma unroll
  for (int step = 0; step < Tile::buffers - 1; ++step) copy(step);

  Sums<Tile> sums = {};
  RowSums<Tile> row_sums = {};
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<Tile::buffers - 2>();
    __syncthreads();
    // The buffer that was read in the step before: the barrier says that all are through with it.
    copy(step + Tile::buffers - 1);
    multiply<Tile, adds_rows<a_along, b_along>>(buffer[step % Tile::buffers], at.warp_row, at.warp_column,
                                                sums, row_sums);
  }

  store_sums(product, task, at, sums);
  if constexpr (adds_rows<a_along, b_along>) {
    if (product.row_sums == nullptr || at.column + at.warp_column > 0) return;
    const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, place = lane % 4;
#pragma unroll
    for (int i = 0; i < Tile::warp_rows / 16; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float sum = row_sums[i][half];
        sum += __shfl_xor_sync(full_warp, sum, 1);
        sum += __shfl_xor_sync(full_warp, sum, 2);
        const std::int64_t to_row = at.row + at.warp_row + 16 * i + 8 * half + group;
        if (place > 0 || to_row >= product.c.rows) continue;
        place_of_row_sums(product, task)[to_row] = sum;
      }
    }
  }
}

/// blockIdx.x counts tiles, blockIdx.y parts of k.
template <class Tile, bool a_along, bool b_along, int width>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks_per_multiprocessor)
    split_product_kernel(const __grid_constant__ Product product) {
  form_tile<Tile, a_along, b_along, width>(product, {blockIdx.x, blockIdx.y, gridDim.y});
}

/// Two products that do not wait for each other, as a layer's backward has them: A^T B and A B.
struct TwoProducts {
  Product first, second;
  std::int64_t first_parts, second_parts;

  SEA_HOST_DEVICE std::int64_t first_tiles() const { return first.row_tiles * first.column_tiles; }
  SEA_HOST_DEVICE std::int64_t second_tiles() const { return second.row_tiles * second.column_tiles; }
  SEA_HOST_DEVICE std::int64_t first_blocks() const { return first_tiles() * first_parts; }
  SEA_HOST_DEVICE std::int64_t blocks() const { return first_blocks() + second_tiles() * second_parts; }
};

template <class Tile, int width>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks_per_multiprocessor)
    two_products_kernel(const __grid_constant__ TwoProducts products) {
  const std::int64_t block = blockIdx.x - products.first_blocks();
  if (block < 0) {
    const std::int64_t tiles = products.first_tiles();
    form_tile<Tile, false, false, width>(products.first,
                                         {blockIdx.x % tiles, blockIdx.x / tiles, products.first_parts});
  } else {
    const std::int64_t tiles = products.second_tiles();
    form_tile<Tile, true, false, width>(products.second,
                                        {block % tiles, block / tiles, products.second_parts});
  }
}

inline constexpr int sum_rows = 4, sum_columns = 64;  ///< of C, of a block

/// Adds the parts up in their order.
static __global__ void __launch_bounds__(sum_rows* sum_columns)
    sum_parts_kernel(const __grid_constant__ Product product, int parts) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * sum_rows + threadIdx.y;
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.y) * sum_columns + threadIdx.x;
  if (i >= product.c.rows || j >= product.c.columns) return;
  const std::int64_t size = product.c.rows * product.c.columns;
  const float* part = product.parts + i * product.c.columns + j;
  float sum = 0.0f;
#pragma unroll 4
  for (int p = 0; p < parts; ++p) sum += part[p * size];
  finish(product, i, j, sum);
  if (product.row_sums == nullptr || j > 0) return;
  sum = 0.0f;
  for (int p = 0; p < parts; ++p) sum += product.parts_of_sums(parts)[p * product.c.rows + i];
  product.row_sums[i] = sum;
}

/// Starts the second kernel, where there are several parts.
inline void start_sum_of_parts(cudaStream_t stream, const char* operator_name, const Product& product,
                               std::int64_t parts) {
  if (parts == 1) return;
  const dim3 blocks(grid_size(blocks_of(product.c.rows, sum_rows)),
                    grid_size(blocks_of(product.c.columns, sum_columns)));
  launch(stream, operator_name, {blocks, dim3(sum_columns, sum_rows)}, &sum_parts_kernel, product,
         static_cast<int>(parts));
}

/// How many tiles C has.
template <class Tile>
void count_tiles(Product& product) {
  product.row_tiles = blocks_of(product.c.rows, Tile::rows);
  product.column_tiles = blocks_of(product.c.columns, Tile::columns);
}

/// Starts a kernel for `parts` parts of k, with blocks of one tile and part each, and the second one.
template <class Tile>
void start_tiles(cudaStream_t stream, const char* operator_name, Product product, std::int64_t parts,
                 void (*kernel)(Product), std::size_t shared_bytes) {
  count_tiles<Tile>(product);
  const Grid grid{dim3(grid_size(product.row_tiles * product.column_tiles), grid_size(parts)),
                  dim3(Tile::threads), shared_bytes};
  launch(stream, operator_name, grid, kernel, product);
  start_sum_of_parts(stream, operator_name, product, parts);
}

/// Copies are of `width` floats: four where all rows of the operands are aligned.
template <class Tile, bool a_along, bool b_along, int width>
void start(cudaStream_t stream, const char* operator_name, const Product& product, std::int64_t parts) {
  start_tiles<Tile>(stream, operator_name, product, parts,
                    &split_product_kernel<Tile, a_along, b_along, width>,
                    sizeof(Buffer<Tile, a_along, b_along>[Tile::buffers]));
}

/// Both in one launch.
template <class Tile, int width>
void start_two(cudaStream_t stream, const char* operator_name, TwoProducts products) {
  count_tiles<Tile>(products.first);
  count_tiles<Tile>(products.second);
  constexpr std::size_t shared_bytes =
      Tile::buffers * std::max(sizeof(Buffer<Tile, false, false>), sizeof(Buffer<Tile, true, false>));
  launch(stream, operator_name, {dim3(grid_size(products.blocks())), dim3(Tile::threads), shared_bytes},
         &two_products_kernel<Tile, width>, products);
  start_sum_of_parts(stream, operator_name, products.first, products.first_parts);
  start_sum_of_parts(stream, operator_name, products.second, products.second_parts);
}

}  // namespace sea::cuda::split
