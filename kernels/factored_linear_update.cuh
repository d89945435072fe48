#pragma once

#include "common/adam_update.cuh"
#include "common/async_copy.cuh"
#include "common/elementwise.cuh"
#include "common/launch.cuh"
#include "common/tensor_core.cuh"
#include "factored_linear_heads.cuh"
#include "sea/cuda.hpp"
#include "variants.cuh"

// dW = C^T dM, written out or fed to Adam at once.
//
// Floor: W and its two moments read and written once, 24 bytes a weight (403 MB for SEA's 4,096 x 4,096, 93
// us at 4.3 TB/s), and 2 nnz(C) in operations (10.7 GFLOP; three times as many on the tensor cores with split
// operands). Both ask for about the same time, so that two blocks share a multiprocessor: one computes while
// the other one updates.
//
// A block forms a tile in registers, a warp 32 x 32 of it. It takes some rows of dM and of a head after the
// other through buffers of shared memory, filled in the background; heads that do not look at the tile's
// columns are left out. Rows of the buffers are 8 floats longer than a multiple of 32, so that the lanes of a
// warp read 32 different banks. The tile never goes to memory: what is done with an element, stored or fed to
// Adam, is the kernel's last part, and everything before it is the same code, to the bit. Every element's sum
// runs over the heads and their rows in order, whatever the tile.

namespace sea::cuda {

template <class Tiling>
struct UpdateShared {
  struct Buffer {
    float c[Tiling::depth][Tiling::rows + 8];
    float dm[Tiling::depth][Tiling::columns + 8];
  } buffer[Tiling::buffers];
};

/// What a lane holds of its warp's 32 x 32, in the order of mma_m16n8k8: [16 rows][8 columns][element].
using UpdateSums = float[2][4][4];

/// Where the tile and this thread's part of it lie.
struct UpdatePlace {
  std::int64_t row, column;   ///< of the tile in dW
  int warp_row, warp_column;  ///< of the warp's part in the tile
  int group, position;        ///< of the lane

  template <class Tiling>
  __device__ static UpdatePlace of() {
    UpdatePlace at;
    at.row = static_cast<std::int64_t>(blockIdx.y) * Tiling::rows;
    at.column = static_cast<std::int64_t>(blockIdx.x) * Tiling::columns;
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    constexpr int warps_down = Tiling::rows / Tiling::warp_tile;
    at.warp_row = warp % warps_down * Tiling::warp_tile;
    at.warp_column = warp / warps_down * Tiling::warp_tile;
    at.group = lane / 4;
    at.position = lane % 4;
    return at;
  }
};

/// Whether a head looks at a tile of `rows` rows, of which `row` is the first.
template <int rows>
__device__ __forceinline__ bool reaches(const StackedHeads::Head& head, std::int64_t row) {
  return head.weight.rows > 0 && head.first_column < row + rows && row < head.end_column();
}

/// How many buffers the rows of C that reach a tile fill.
template <class Tiling>
__device__ __forceinline__ int depths_of(const StackedHeads& heads, std::int64_t row) {
  int count = 0;
  for (int r = 0; r < heads.count; ++r) {
    const StackedHeads::Head& head = heads.head[r];
    if (reaches<Tiling::rows>(head, row))
      count += static_cast<int>((head.weight.rows + Tiling::depth - 1) / Tiling::depth);
  }
  return count;
}

/// Fills buffers in the background, with the rows of one head after the other; zeros where C has no such
/// row or column, or dM no such column. Addresses move by whole buffers, and are formed anew for each head
/// alone.
template <class Tiling, int width>
class UpdateCopies {
 public:
  __device__ UpdateCopies(const StackedHeads& heads, const ConstMatrixView& dm, const UpdatePlace& place)
      : heads_(heads), dm_(dm), row_(place.row) {
    const int thread = static_cast<int>(threadIdx.x);
    c_k_ = thread / (Tiling::rows / width);
    c_column_ = thread % (Tiling::rows / width) * width;
    dm_k_ = thread / (Tiling::columns / width);
    dm_column_ = thread % (Tiling::columns / width) * width;
    has_dm_ = place.column + dm_column_ < dm.columns;
    dm_begin_ = dm.data + (has_dm_ ? place.column + dm_column_ : 0);
  }

  /// There must be rows left.
  __device__ __forceinline__ void start(typename UpdateShared<Tiling>::Buffer& buffer) {
    if (rows_left_ <= 0) open_next();
    const float *c = from_c_, *dm = from_dm_;
#pragma unroll
    for (int k = 0; k < depth; k += c_at_once) {
      copy_async<width>(&buffer.c[c_k_ + k][c_column_], c, has_c_ && c_k_ + k < rows_left_);
      c += c_at_once * c_row_;
    }
#pragma unroll
    for (int k = 0; k < depth; k += dm_at_once) {
      copy_async<width>(&buffer.dm[dm_k_ + k][dm_column_], dm, has_dm_ && dm_k_ + k < rows_left_);
      dm += dm_at_once * dm_.leading_dimension;
    }
    from_c_ += depth * c_row_;
    from_dm_ += depth * dm_.leading_dimension;
    rows_left_ -= depth;
  }

 private:
  static constexpr int depth = Tiling::depth;
  static constexpr int c_at_once = Tiling::threads / (Tiling::rows / width);
  static constexpr int dm_at_once = Tiling::threads / (Tiling::columns / width);
  static_assert(depth % c_at_once == 0 && depth % dm_at_once == 0);

  __device__ void open_next() {
    do {
      ++head_;
    } while (!reaches<Tiling::rows>(heads_.head[head_], row_));
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
    operand.big[i] = to_tf32(x);
  }
}

template <MatmulPrecision precision, class Tiling>
__device__ void multiply_depth(const typename UpdateShared<Tiling>::Buffer& buffer, const UpdatePlace& at,
                               UpdateSums& sums) {
  if constexpr (precision == MatmulPrecision::float32) {
#pragma unroll 4
    for (int k = 0; k < Tiling::depth; ++k) {
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
    for (int k = 0; k < Tiling::depth; k += 8) {
      SplitA a[2];
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
        SplitB b;
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          set_operand<precision>(b, e, buffer.dm[k + at.position + e * 4][at.warp_column + 8 * j + at.group]);
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          if constexpr (precision == MatmulPrecision::tf32x3) {
            mma_m16n8k8_tf32x3(sums[i][j], a[i], b);
          } else {
            mma_m16n8k8_tf32(sums[i][j], a[i].big, b.big);
          }
        }
      }
    }
  }
}

/// 16 rows of a warp's part: elements as in UpdateSums.
using UpdateStrip = float[4][4];

/// Calls `body(element, row, column)` for the first of each two neighbouring elements of strip `i`: both lie
/// inside a matrix with an even number of columns, or neither does.
template <class Body>
__device__ __forceinline__ void for_each_pair(const UpdatePlace& at, int i, const Body& body) {
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
__device__ __forceinline__ void load_strip(const MatrixView& matrix, const UpdatePlace& at, int i,
                                           UpdateStrip& strip) {
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
__device__ __forceinline__ void store_strip(const MatrixView& matrix, const UpdatePlace& at, int i,
                                            const UpdateStrip& strip) {
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

struct StoreGradient {
  MatrixView dweight;

  template <int width>
  __device__ __forceinline__ void apply(const UpdatePlace& at, const UpdateSums& gradient) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) store_strip<width>(dweight, at, i, gradient[i]);
  }
};

struct UpdateWeight {
  MatrixView weight, first_moment, second_moment;
  const AdamStep* step;

  // All that a strip needs is asked for before the first of it is used.
  template <int width>
  __device__ __forceinline__ void apply(const UpdatePlace& at, const UpdateSums& gradient) const {
    const AdamStep adam = *step;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      UpdateStrip parameter, first, second;
      load_strip<width>(weight, at, i, parameter);
      load_strip<width>(first_moment, at, i, first);
      load_strip<width>(second_moment, at, i, second);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          adam_update(adam, gradient[i][j][e], parameter[j][e], first[j][e], second[j][e]);
        }
      }
      store_strip<width>(weight, at, i, parameter);
      store_strip<width>(first_moment, at, i, first);
      store_strip<width>(second_moment, at, i, second);
    }
  }
};

template <class Tiling, MatmulPrecision precision, int width, class Finish>
__global__ void __launch_bounds__(Tiling::threads, Tiling::blocks_per_multiprocessor)
    weight_gradient_kernel(const __grid_constant__ StackedHeads heads, ConstMatrixView dm, Finish finish) {
  auto& shared = shared_memory<UpdateShared<Tiling>>();
  const auto place = UpdatePlace::of<Tiling>();
  const int depths = depths_of<Tiling>(heads, place.row);
  UpdateCopies<Tiling, width> copies(heads, dm, place);
  const auto copy = [&](int i) {
    if (i < depths) copies.start(shared.buffer[i % Tiling::buffers]);
    copy_async_commit();
  };
#pragma unroll
  for (int i = 0; i < Tiling::buffers - 1; ++i) copy(i);
  UpdateSums sums = {};
#pragma unroll 1
  for (int i = 0; i < depths; ++i) {
    copy_async_wait<Tiling::buffers - 2>();
    __syncthreads();
    // The buffer that the step before this one has read: the barrier says that all are through with it.
    copy(i + Tiling::buffers - 1);
    multiply_depth<precision, Tiling>(shared.buffer[i % Tiling::buffers], place, sums);
  }
  finish.template apply<width>(place, sums);
}

/// Whether every operand can be copied 16 bytes at a time.
inline bool update_aligned(const StackedHeads& heads, ConstMatrixView dm) {
  bool aligned = copies_aligned(dm);
  for (int r = 0; r < heads.count; ++r) {
    const StackedHeads::Head& head = heads.head[r];
    aligned = aligned && copies_aligned(head.weight) && head.first_column % 4 == 0;
  }
  return aligned;
}

/// A block per tile of dW; `aligned`: of what `finish` writes as well.
template <class Tiling, MatmulPrecision precision, class Finish>
void start_update(cudaStream_t stream, const char* name, const StackedHeads& heads, ConstMatrixView dm,
                  bool aligned, const Finish& finish) {
  const dim3 blocks(grid_size(blocks_of(dm.columns, Tiling::columns)),
                    grid_size(blocks_of(heads.width, Tiling::rows)));
  launch(stream, name, {blocks, dim3(Tiling::threads), sizeof(UpdateShared<Tiling>)},
         aligned ? &weight_gradient_kernel<Tiling, precision, 4, Finish>
                 : &weight_gradient_kernel<Tiling, precision, 1, Finish>,
         heads, dm, finish);
}

}  // namespace sea::cuda
