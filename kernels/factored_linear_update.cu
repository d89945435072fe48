#include <string_view>

#include "common/adam_update.cuh"
#include "common/async_copy.cuh"
#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/tensor_core.cuh"
#include "factored_linear_heads.cuh"
#include "sea/detail/checks/dense.hpp"

// dW = C^T dM, written out or fed to Adam at once.
//
// Floor: W and its two moments read and written once, 24 bytes a weight (403 MB for SEA's 4,096 x 4,096, 93
// us at 4.3 TB/s), and 2 nnz(C) in operations (10.7 GFLOP; three times as many on the tensor cores with split
// operands). Both ask for about the same time, so that two blocks share a multiprocessor: one computes while
// the other one updates.
//
// A block forms a tile of 64 x 128 in registers, a warp 32 x 32 of it. It takes 16 rows of dM and of a head
// after the other through three buffers of shared memory, filled in the background; heads that do not look
// at the tile's columns are left out. Rows of the buffers are 8 floats longer than a multiple of 32, so that
// the lanes of a warp read 32 different banks. The tile never goes to memory: what is done with an element,
// stored or fed to Adam, is the kernel's last part, and everything before it is the same code, to the bit.

namespace sea {

namespace {

using cuda::StackedHeads;

constexpr int tile_rows = 64;
constexpr int tile_columns = 128;
constexpr int depth = 16;  ///< rows of C and of dM in one buffer
constexpr int buffers = 3;
constexpr int block_threads = 256;
constexpr int warp_tile = 32;

struct Shared {
  struct Buffer {
    float c[depth][tile_rows + 8];
    float dm[depth][tile_columns + 8];
  } buffer[buffers];
};

/// What a lane holds of its warp's 32 x 32, in the order of mma_m16n8k8: [16 rows][8 columns][element].
using Sums = float[2][4][4];

/// Where the tile and this thread's part of it lie.
struct Place {
  std::int64_t row, column;   ///< of the tile in dW
  int warp_row, warp_column;  ///< of the warp's part in the tile
  int group, position;        ///< of the lane

  __device__ Place()
      : row(static_cast<std::int64_t>(blockIdx.y) * tile_rows),
        column(static_cast<std::int64_t>(blockIdx.x) * tile_columns) {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    warp_row = warp % 2 * warp_tile;
    warp_column = warp / 2 * warp_tile;
    group = lane / 4;
    position = lane % 4;
  }
};

/// Whether a head looks at a tile whose first row is `row`.
__device__ __forceinline__ bool reaches(const StackedHeads::Head& head, std::int64_t row) {
  return head.weight.rows > 0 && head.first_column < row + tile_rows && row < head.end_column();
}

/// How many buffers the rows of C that reach a tile fill.
__device__ __forceinline__ int depths_of(const StackedHeads& heads, std::int64_t row) {
  int count = 0;
  for (int r = 0; r < heads.count; ++r) {
    const StackedHeads::Head& head = heads.head[r];
    if (reaches(head, row)) count += static_cast<int>((head.weight.rows + depth - 1) / depth);
  }
  return count;
}

/// Fills buffers in the background, with the rows of one head after the other; zeros where C has no such
/// row or column, or dM no such column. Addresses move by whole buffers, and are formed anew for each head
/// alone.
template <int width>
class Copies {
 public:
  __device__ Copies(const StackedHeads& heads, const ConstMatrixView& dm, const Place& place)
      : heads_(heads), dm_(dm), row_(place.row) {
    const int thread = static_cast<int>(threadIdx.x);
    c_k_ = thread / (tile_rows / width);
    c_column_ = thread % (tile_rows / width) * width;
    dm_k_ = thread / (tile_columns / width);
    dm_column_ = thread % (tile_columns / width) * width;
    has_dm_ = place.column + dm_column_ < dm.columns;
    dm_begin_ = dm.data + (has_dm_ ? place.column + dm_column_ : 0);
  }

  /// There must be rows left.
  __device__ __forceinline__ void start(Shared::Buffer& buffer) {
    if (rows_left_ <= 0) open_next();
    const float *c = from_c_, *dm = from_dm_;
#pragma unroll
    for (int k = 0; k < depth; k += c_at_once) {
      cuda::copy_async<width>(&buffer.c[c_k_ + k][c_column_], c, has_c_ && c_k_ + k < rows_left_);
      c += c_at_once * c_row_;
    }
#pragma unroll
    for (int k = 0; k < depth; k += dm_at_once) {
      cuda::copy_async<width>(&buffer.dm[dm_k_ + k][dm_column_], dm, has_dm_ && dm_k_ + k < rows_left_);
      dm += dm_at_once * dm_.leading_dimension;
    }
    from_c_ += depth * c_row_;
    from_dm_ += depth * dm_.leading_dimension;
    rows_left_ -= depth;
  }

 private:
  static constexpr int c_at_once = block_threads / (tile_rows / width);
  static constexpr int dm_at_once = block_threads / (tile_columns / width);
  static_assert(depth % c_at_once == 0 && depth % dm_at_once == 0);

  __device__ void open_next() {
    do {
      ++head_;
    } while (!reaches(heads_.head[head_], row_));
    const StackedHeads::Head& head = heads_.head[head_];
    has_c_ = head.looks_at(row_ + c_column_);
    c_row_ = head.weight.leading_dimension;
    from_c_ = head.weight.data + c_k_ * c_row_ + (has_c_ ? row_ + c_column_ - head.first_column : 0);
    from_dm_ = dm_begin_ + (head.first_row + dm_k_) * dm_.leading_dimension;
    rows_left_ = static_cast<int>(head.weight.rows);
  }

  const StackedHeads& heads_;
  const ConstMatrixView& dm_;
  std::int64_t row_;
  const float *from_c_ = nullptr, *from_dm_ = nullptr, *dm_begin_;
  std::int64_t c_row_ = 0;
  int head_ = -1, rows_left_ = 0;
  int c_k_, c_column_, dm_k_, dm_column_;
  bool has_c_ = false, has_dm_;
};

/// Split, or its big part alone: rounded so that what is not a number stays so.
template <MatmulPrecision precision, class Operand>
__device__ __forceinline__ void set_operand(Operand& operand, int i, float x) {
  if constexpr (precision == MatmulPrecision::tf32x3) {
    operand.set(i, x);
  } else {
    operand.big[i] = cuda::to_tf32(x);
  }
}

template <MatmulPrecision precision>
__device__ void multiply(const Shared::Buffer& buffer, const Place& at, Sums& sums) {
  if constexpr (precision == MatmulPrecision::float32) {
#pragma unroll 4
    for (int k = 0; k < depth; ++k) {
      float a[2][2], b[4][2];
      for (int i = 0; i < 2; ++i) {
        for (int half = 0; half < 2; ++half) {
          a[i][half] = buffer.c[k][at.warp_row + 16 * i + 8 * half + at.group];
        }
      }
      for (int j = 0; j < 4; ++j) {
        for (int e = 0; e < 2; ++e) b[j][e] = buffer.dm[k][at.warp_column + 8 * j + 2 * at.position + e];
      }
      for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 4; ++j) {
          for (int e = 0; e < 4; ++e) sums[i][j][e] = __fmaf_rn(a[i][e / 2], b[j][e % 2], sums[i][j][e]);
        }
      }
    }
  } else {
#pragma unroll 1  // unrolled, it needs more registers than two blocks of a multiprocessor have
    for (int k = 0; k < depth; k += 8) {
      cuda::SplitA a[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          set_operand<precision>(
              a[i], e, buffer.c[k + at.position + e / 2 * 4][at.warp_row + 16 * i + e % 2 * 8 + at.group]);
        }
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        cuda::SplitB b;
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          set_operand<precision>(b, e, buffer.dm[k + at.position + e * 4][at.warp_column + 8 * j + at.group]);
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          if constexpr (precision == MatmulPrecision::tf32x3) {
            cuda::mma_m16n8k8_tf32x3(sums[i][j], a[i], b);
          } else {
            cuda::mma_m16n8k8_tf32(sums[i][j], a[i].big, b.big);
          }
        }
      }
    }
  }
}

/// 16 rows of a warp's part: elements as in Sums.
using Strip = float[4][4];

/// Calls `body(element, row, column)` for the first of each two neighbouring elements of strip `i`: both lie
/// inside a matrix with an even number of columns, or neither does.
template <class Body>
__device__ __forceinline__ void for_each_pair(const Place& at, int i, const Body& body) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      body(j, 2 * half, at.row + at.warp_row + 16 * i + 8 * half + at.group,
           at.column + at.warp_column + 8 * j + 2 * at.position);
    }
  }
}

template <int width>
__device__ __forceinline__ void load_strip(const MatrixView& matrix, const Place& at, int i, Strip& strip) {
  for_each_pair(at, i, [&](int j, int e, std::int64_t row, std::int64_t column) {
    if constexpr (width == 4) {
      const bool inside = row < matrix.rows && column < matrix.columns;
      const float2 pair = inside ? *reinterpret_cast<const float2*>(&matrix(row, column)) : float2{};
      strip[j][e] = pair.x;
      strip[j][e + 1] = pair.y;
    } else {
      for (int d = 0; d < 2; ++d) {
        const bool inside = row < matrix.rows && column + d < matrix.columns;
        strip[j][e + d] = inside ? matrix(row, column + d) : 0.0f;
      }
    }
  });
}

template <int width>
__device__ __forceinline__ void store_strip(const MatrixView& matrix, const Place& at, int i,
                                            const Strip& strip) {
  for_each_pair(at, i, [&](int j, int e, std::int64_t row, std::int64_t column) {
    if (row >= matrix.rows) return;
    if constexpr (width == 4) {
      if (column >= matrix.columns) return;
      *reinterpret_cast<float2*>(&matrix(row, column)) = make_float2(strip[j][e], strip[j][e + 1]);
    } else {
      for (int d = 0; d < 2 && column + d < matrix.columns; ++d) matrix(row, column + d) = strip[j][e + d];
    }
  });
}

struct Store {
  MatrixView dweight;

  template <int width>
  __device__ __forceinline__ void apply(const Place& at, const Sums& gradient) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) store_strip<width>(dweight, at, i, gradient[i]);
  }
};

struct Update {
  MatrixView weight, first_moment, second_moment;
  const cuda::AdamStep* step;

  // All that a strip needs is asked for before the first of it is used.
  template <int width>
  __device__ __forceinline__ void apply(const Place& at, const Sums& gradient) const {
    const cuda::AdamStep adam = *step;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      Strip parameter, first, second;
      load_strip<width>(weight, at, i, parameter);
      load_strip<width>(first_moment, at, i, first);
      load_strip<width>(second_moment, at, i, second);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          cuda::adam_update(adam, gradient[i][j][e], parameter[j][e], first[j][e], second[j][e]);
        }
      }
      store_strip<width>(weight, at, i, parameter);
      store_strip<width>(first_moment, at, i, first);
      store_strip<width>(second_moment, at, i, second);
    }
  }
};

template <MatmulPrecision precision, int width, class Finish>
__global__ void __launch_bounds__(block_threads, 2)
    weight_gradient_kernel(const __grid_constant__ StackedHeads heads, ConstMatrixView dm, Finish finish) {
  auto& shared = cuda::shared_memory<Shared>();
  const Place place;
  const int depths = depths_of(heads, place.row);
  Copies<width> copies(heads, dm, place);
  const auto copy = [&](int i) {
    if (i < depths) copies.start(shared.buffer[i % buffers]);
    cuda::copy_async_commit();
  };
#pragma unroll
  for (int i = 0; i < buffers - 1; ++i) copy(i);
  Sums sums = {};
#pragma unroll 1
  for (int i = 0; i < depths; ++i) {
    cuda::copy_async_wait<buffers - 2>();
    __syncthreads();
    // The buffer that the step before this one has read: the barrier says that all are through with it.
    copy(i + buffers - 1);
    multiply<precision>(shared.buffer[i % buffers], place, sums);
  }
  finish.template apply<width>(place, sums);
}

__global__ void adam_step_kernel(AdamSettings settings, const OptimizerState* state, cuda::AdamStep* step) {
  *step = cuda::adam_step(settings, state->learning_rate, state->step + 1);
}

/// Whether every operand can be copied 16 bytes at a time.
bool is_aligned(const StackedHeads& heads, ConstMatrixView dm) {
  bool aligned = cuda::rows_aligned(dm) && dm.columns % 4 == 0;
  for (int r = 0; r < heads.count; ++r) {
    const StackedHeads::Head& head = heads.head[r];
    aligned = aligned && cuda::rows_aligned(head.weight) && head.weight.columns % 4 == 0 &&
              head.first_column % 4 == 0;
  }
  return aligned;
}

template <class Finish>
void start(const cuda::Context& context, const char* name, const StackedHeads& heads, ConstMatrixView dm,
           bool aligned, const Finish& finish) {
  const dim3 blocks(cuda::grid_size(cuda::blocks_of(dm.columns, tile_columns)),
                    cuda::grid_size(cuda::blocks_of(heads.width, tile_rows)));
  const auto with = [&](auto kernel) {
    cuda::launch(context.stream, name, {blocks, dim3(block_threads), sizeof(Shared)}, kernel, heads, dm,
                 finish);
  };
  const std::string_view precision = context.blas.precision_name();
  if (precision == "float32") {
    with(aligned ? &weight_gradient_kernel<MatmulPrecision::float32, 4, Finish>
                 : &weight_gradient_kernel<MatmulPrecision::float32, 1, Finish>);
  } else if (precision == "tf32") {
    with(aligned ? &weight_gradient_kernel<MatmulPrecision::tf32, 4, Finish>
                 : &weight_gradient_kernel<MatmulPrecision::tf32, 1, Finish>);
  } else {
    with(aligned ? &weight_gradient_kernel<MatmulPrecision::tf32x3, 4, Finish>
                 : &weight_gradient_kernel<MatmulPrecision::tf32x3, 1, Finish>);
  }
}

}  // namespace

void CudaBackend::factored_linear_weight_gradient(std::span<const LinearHead> heads, ConstMatrixView dm,
                                                  MatrixView dweight, Workspace) {
  const char* name = "factored_linear_weight_gradient";
  checks::factored_linear_weight_gradient(heads, dm, dweight);
  const StackedHeads stacked(heads, dweight.rows);
  start(*context_, name, stacked, dm, is_aligned(stacked, dm) && cuda::rows_aligned(dweight), Store{dweight});
}

void CudaBackend::factored_linear_update(std::span<const LinearHead> heads, ConstMatrixView dm,
                                         MatrixView weight, MatrixView first_moment, MatrixView second_moment,
                                         const AdamSettings& settings, const OptimizerState* state,
                                         Workspace workspace) {
  const char* name = "factored_linear_update";
  checks::factored_linear_update(heads, dm, weight, first_moment, second_moment);
  const StackedHeads stacked(heads, weight.rows);
  auto* step = cuda::Scratch(name, workspace).take<cuda::AdamStep>(1);
  cuda::launch(context_->stream, name, {dim3(1), dim3(1)}, &adam_step_kernel, settings, state, step);
  const bool aligned = is_aligned(stacked, dm) && cuda::rows_aligned(weight) &&
                       cuda::rows_aligned(first_moment) && cuda::rows_aligned(second_moment);
  start(*context_, name, stacked, dm, aligned, Update{weight, first_moment, second_moment, step});
}

}  // namespace sea
