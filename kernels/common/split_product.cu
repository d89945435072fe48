#include <algorithm>

#include "common/async_copy.cuh"
#include "common/elementwise.cuh"
#include "common/launch.cuh"
#include "common/split_product.cuh"
#include "common/tensor_core.cuh"

// Dense products on the tensor cores with split operands.
//
// Floor: three products of m n k multiply-adds; A, B and C once from memory. A block forms a tile of C. It
// takes 32 of k after the other through buffers of shared memory, filled in the background, and splits
// operands in registers, four instructions per element that serve two to four products. The tensor cores
// round a running sum towards zero, so that sums over eight of k are added to the others outside them,
// rounded to nearest.
//
// Where tiles are too few for a device, k is cut in parts, whose sums go to scratch memory and are added in
// order by a second kernel. How many parts, and which of two tiles, is what a simple model of a large device
// finds fastest: it depends on the shapes only, and the bits with it.
//
// Operands stay in shared memory as they are stored, along k or across it, with rows so long that the lanes
// of a warp read different banks. A lane takes two neighbouring elements of k where an instruction's operands
// have k four apart: for both operands alike, so that the sum is the same.

namespace sea::cuda {

namespace {

constexpr int depth = 32;  ///< of k in one buffer
constexpr int buffers = 3;

/// A block's tile and how its warps share it.
template <int rows_, int columns_, int warp_rows_, int warp_columns_, int blocks_>
struct Tiling {
  static constexpr int rows = rows_, columns = columns_;
  static constexpr int warp_rows = warp_rows_, warp_columns = warp_columns_;  ///< of a warp's part
  static constexpr int threads = rows / warp_rows * (columns / warp_columns) * 32;
  static constexpr int blocks_per_multiprocessor = blocks_;
  /// Of 32 of k. Small tiles read more from the second-level cache than it gives in the tensor cores' time.
  static constexpr double step_time = rows > 64 ? 4.0 : 1.2;
};
using LargeTiling = Tiling<128, 128, 64, 32, 1>;
using SmallTiling = Tiling<64, 64, 32, 32, 3>;

struct Product {
  ConstMatrixView a, b;  ///< as they are stored
  MatrixView c;
  const float* bias;
  float alpha, beta;
  std::int64_t k, k_of_part;
  std::int64_t row_tiles, column_tiles;
  float* parts;  ///< null: the only part goes to C
};

/// `extent` rows of op(A), or columns of op(B), in a buffer. `along`: k is what lies side by side in memory.
template <int extent, bool along>
struct Operand {
  static constexpr int stride = along ? depth + 8 : extent + 4;
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
  __device__ __forceinline__ void start(Operand<extent, along>& buffer, int k_left) {
    const float* from = from_;
    float* to = &buffer.values[row_ * Operand<extent, along>::stride + column_];
#pragma unroll
    for (int i = 0; i < count; ++i) {
      bool valid;
      if constexpr (along) {
        valid = i * rows_at_once < rows_left_ && column_ < k_left;
      } else {
        valid = inside_ && row_ + i * rows_at_once < k_left;
      }
      copy_async<width>(to + i * rows_at_once * Operand<extent, along>::stride, from, valid);
      from += to_next_;
    }
    from_ += to_next_buffer_;
  }

 private:
  static constexpr int packs_of_row = (along ? depth : extent) / width;
  static constexpr int rows_at_once = threads / packs_of_row;
  static constexpr int count = (along ? extent : depth) / rows_at_once;
  static_assert(threads % packs_of_row == 0 && (along ? extent : depth) % rows_at_once == 0);

  const float* from_;
  std::int64_t to_next_, to_next_buffer_;
  int row_, column_, rows_left_ = 0;
  bool inside_ = false;
};

template <class Tile, bool a_along, bool b_along>
struct Buffer {
  Operand<Tile::rows, a_along> a;
  Operand<Tile::columns, b_along> b;
};

/// What a warp has of its part of the tile, in the order of mma_m16n8k8.
template <class Tile>
using Sums = float[Tile::warp_rows / 16][Tile::warp_columns / 8][4];

template <class Tile, bool a_along, bool b_along>
__device__ __forceinline__ void multiply(const Buffer<Tile, a_along, b_along>& buffer, int warp_row,
                                         int warp_column, Sums<Tile>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, place = lane % 4;
#pragma unroll 2  // unrolled further, it needs more registers than there are
  for (int k = 0; k < depth; k += 8) {
    SplitA a[Tile::warp_rows / 16];
#pragma unroll
    for (int i = 0; i < Tile::warp_rows / 16; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float2 pair = buffer.a.pair(warp_row + 16 * i + 8 * half + group, k + 2 * place);
        a[i].set(half, pair.x);
        a[i].set(half + 2, pair.y);
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
}

/// An element of C from the sum of all its products.
__device__ __forceinline__ void finish(const Product& product, std::int64_t i, std::int64_t j, float sum) {
  float* c = &product.c(i, j);
  float value = product.alpha * sum;
  if (product.beta != 0.0f) value = __fmaf_rn(product.beta, *c, value);
  if (product.bias != nullptr) value += product.bias[j];
  *c = value;
}

/// blockIdx.x counts tiles, the shorter side first, so that neighbouring blocks read the same rows of the
/// longer operand; blockIdx.y counts parts of k.
template <class Tile, bool a_along, bool b_along, int width>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks_per_multiprocessor)
    split_product_kernel(const __grid_constant__ Product product) {
  using TileBuffer = Buffer<Tile, a_along, b_along>;
  auto& buffer = shared_memory<TileBuffer[buffers]>();
  const std::int64_t short_side = min(product.row_tiles, product.column_tiles);
  const std::int64_t along_short = blockIdx.x % short_side, along_long = blockIdx.x / short_side;
  const bool few_rows = product.row_tiles <= product.column_tiles;
  const std::int64_t row = (few_rows ? along_short : along_long) * Tile::rows;
  const std::int64_t column = (few_rows ? along_long : along_short) * Tile::columns;
  const std::int64_t k_first = blockIdx.y * product.k_of_part;
  int k_left = static_cast<int>(min(product.k_of_part, product.k - k_first));
  const int steps = (k_left + depth - 1) / depth;

  Copies<Tile::rows, a_along, width, Tile::threads> a(product.a, row, k_first);
  Copies<Tile::columns, b_along, width, Tile::threads> b(product.b, column, k_first);
  const auto copy = [&](int step) {
    if (step < steps) {
      a.start(buffer[step % buffers].a, k_left);
      b.start(buffer[step % buffers].b, k_left);
      k_left -= depth;
    }
    copy_async_commit();
  };
#pragma unroll
  for (int step = 0; step < buffers - 1; ++step) copy(step);

  constexpr int warps_down = Tile::rows / Tile::warp_rows;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_row = warp % warps_down * Tile::warp_rows,
            warp_column = warp / warps_down * Tile::warp_columns;
  Sums<Tile> sums = {};
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<buffers - 2>();
    __syncthreads();
    // The buffer that was read in the step before: the barrier says that all are through with it.
    copy(step + buffers - 1);
    multiply<Tile>(buffer[step % buffers], warp_row, warp_column, sums);
  }

  const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, place = lane % 4;
#pragma unroll
  for (int i = 0; i < Tile::warp_rows / 16; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::warp_columns / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const std::int64_t to_row = row + warp_row + 16 * i + e / 2 * 8 + group;
        const std::int64_t to_column = column + warp_column + 8 * j + 2 * place + e % 2;
        if (to_row >= product.c.rows || to_column >= product.c.columns) continue;
        if (product.parts != nullptr) {
          product.parts[(blockIdx.y * product.c.rows + to_row) * product.c.columns + to_column] =
              sums[i][j][e];
        } else {
          finish(product, to_row, to_column, sums[i][j][e]);
        }
      }
    }
  }
}

constexpr int sum_rows = 4, sum_columns = 64;  ///< of C, of a block

/// Adds the parts up in their order.
__global__ void __launch_bounds__(sum_rows* sum_columns)
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
}

/// How a product is cut, and what that takes by the model, in the time that the tensor cores of one
/// multiprocessor of an H200 need for a step of a small tile: a third of a microsecond.
struct Plan {
  bool large = false;
  std::int64_t parts = 1, k_of_part = 0;
  double time = 0.0;
};

template <class Tile>
void consider(Plan& best, std::int64_t m, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t multiprocessors = 132, most_parts = 64;
  constexpr double beside_steps = 3.0;  // of a tile: the first copies, and its end
  constexpr double step_time = Tile::step_time;
  const std::int64_t tiles = blocks_of(m, Tile::rows) * blocks_of(n, Tile::columns),
                     steps = blocks_of(k, depth);
  for (std::int64_t parts = 1; parts <= std::min(most_parts, steps); ++parts) {
    if (parts > 1 && parts * m * n > split_product_floats) break;
    const std::int64_t each = blocks_of(steps, parts);
    if (blocks_of(steps, each) != parts) continue;
    const std::int64_t wave = multiprocessors * Tile::blocks_per_multiprocessor;
    // The last wave is paid by the blocks of its fullest multiprocessor.
    const std::int64_t blocks = tiles * parts;
    const std::int64_t in_turn =
        blocks / wave * Tile::blocks_per_multiprocessor + blocks_of(blocks % wave, multiprocessors);
    // Parts are written and read again, and a second kernel is started.
    const double sums = parts > 1 ? 8.0 + static_cast<double>(parts * m * n) / 2.5e5 : 0.0;
    const double time =
        static_cast<double>(in_turn) * (static_cast<double>(each) + beside_steps) * step_time + sums;
    if (best.k_of_part == 0 || time < best.time)
      best = {Tile::rows == LargeTiling::rows, parts, each * depth, time};
  }
}

template <class Tile, bool a_along, bool b_along>
void start(cudaStream_t stream, const char* operator_name, Product product, std::int64_t parts,
           bool aligned) {
  product.row_tiles = blocks_of(product.c.rows, Tile::rows);
  product.column_tiles = blocks_of(product.c.columns, Tile::columns);
  const Grid grid{dim3(grid_size(product.row_tiles * product.column_tiles), grid_size(parts)),
                  dim3(Tile::threads), sizeof(Buffer<Tile, a_along, b_along>[buffers])};
  launch(stream, operator_name, grid,
         aligned ? &split_product_kernel<Tile, a_along, b_along, 4>
                 : &split_product_kernel<Tile, a_along, b_along, 1>,
         product);
}

}  // namespace

void split_product(cudaStream_t stream, const char* operator_name, Transpose transpose_a,
                   Transpose transpose_b, float alpha, ConstMatrixView a, ConstMatrixView b, float beta,
                   MatrixView c, const float* bias, float* scratch) {
  const bool a_along = transpose_a == Transpose::no, b_along = transpose_b == Transpose::yes;
  const std::int64_t k = a_along ? a.columns : a.rows;
  Plan plan;
  consider<LargeTiling>(plan, c.rows, c.columns, k);
  consider<SmallTiling>(plan, c.rows, c.columns, k);
  const Product product{
      a, b, c, bias, alpha, beta, k, plan.k_of_part, 0, 0, plan.parts > 1 ? scratch : nullptr};
  const bool aligned = rows_aligned(a) && rows_aligned(b) && a.columns % 4 == 0 && b.columns % 4 == 0;
  const auto with = [&](auto tile) {
    using Tile = decltype(tile);
    if (a_along) {
      b_along ? start<Tile, true, true>(stream, operator_name, product, plan.parts, aligned)
              : start<Tile, true, false>(stream, operator_name, product, plan.parts, aligned);
    } else {
      b_along ? start<Tile, false, true>(stream, operator_name, product, plan.parts, aligned)
              : start<Tile, false, false>(stream, operator_name, product, plan.parts, aligned);
    }
  };
  plan.large ? with(LargeTiling{}) : with(SmallTiling{});
  if (plan.parts > 1) {
    const dim3 blocks(grid_size(blocks_of(c.rows, sum_rows)), grid_size(blocks_of(c.columns, sum_columns)));
    launch(stream, operator_name, {blocks, dim3(sum_columns, sum_rows)}, &sum_parts_kernel, product,
           static_cast<int>(plan.parts));
  }
}

}  // namespace sea::cuda
