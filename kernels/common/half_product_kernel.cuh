#pragma once

#include "common/half.cuh"
#include "common/split_product_kernel.cuh"

// The kernel of split_product.cu with operands split into two parts of half precision (fp16x3). One tensor
// core instruction takes 16 of k, where that of TF32 takes 8 in the same time.
//
// A part of half precision has 11 bits, but only the exponents -24 to 15. So a block scales what it holds of
// an operand at a time, `extent` rows by 32 of k, by a power of two s, which brings its largest magnitude M
// to [2^14, 2^15), and divides it out of the sums:
//
//   high = half(s x), low = half(s x - high), both to the nearest.
//
// Neither overflows: |high| <= 2^15, |low| <= 16. With 2^e <= |s x| < 2^(e+1), what `high` leaves is at most
// 2^(e-11), and `low` leaves at most 2^(e-23) of that, or 2^-25 where it is subnormal. Divided by s, whose
// 2^14 <= s M, the error of an operand is at most 2^-23 |x| + 2^-39 M: smaller than that of two TF32 parts,
// 2^-21 |x|, but for elements far below M. Those count only where a whole row of an operand is small. So
// every thread looks at groups of four elements of one row, neighbours along k or eight apart: where the
// largest of a group, g, is not 0 and more than 15 binary orders below M, these 32 of k are multiplied in
// TF32 parts, from the same buffer. Else M < 2^16 g, and the error is at most 2^-23 (|x| + g). TF32 parts are
// taken too where M is infinite, or no float divides the product of both scales out. A NaN counts for no
// maximum; it stays in its row. All this depends on the operands alone, and so do the bits.

namespace sea::cuda::split {

inline constexpr int half_padding = 8;        ///< with it the rows of load_matrices meet no bank conflicts
inline constexpr unsigned half_binades = 15;  ///< that a group may lie below the largest magnitude
/// Of a float's exponent field, below which its scale is no float: 2^(141 - field) brings it to [2^14, 2^15).
inline constexpr unsigned half_least_field = 14, half_scale_field = 268;

/// Both parts of `extent` rows of op(A), or columns of op(B), in the layout of `Operand`.
template <int extent, bool along>
struct Halves {
  static constexpr int stride = (along ? depth : extent) + half_padding;
  alignas(16) std::uint32_t high[(along ? extent : depth) * stride / 2];  // two each
  alignas(16) std::uint32_t low[(along ? extent : depth) * stride / 2];
};

/// The bits of the largest magnitude of all groups, and of the least one's, less one: that of no group is
/// above all.
struct Extremes {
  unsigned largest = 0, least = 0xFFFFFFFFu;

  __device__ __forceinline__ void take(float group) {
    const unsigned bits = __float_as_uint(group);
    largest = max(largest, bits);
    least = min(least, bits - 1);
  }
  __device__ __forceinline__ void take(const Extremes& other) {
    largest = max(largest, other.largest);
    least = min(least, other.least);
  }
  /// The exponent field of the largest; of zeros that of a scale of 1.
  __device__ __forceinline__ unsigned field() const { return largest == 0 ? 141 : largest >> 23; }
  __device__ __forceinline__ bool fit() const {
    return largest == 0 ||
           (field() >= half_least_field && field() < 255 && ((least + 1) >> 23) + half_binades >= field());
  }
};

/// By which operands are multiplied before they are split, and their products afterwards.
struct HalfScales {
  float a, b, back;
  bool fit;

  __device__ __forceinline__ HalfScales(const Extremes& of_a, const Extremes& of_b) {
    const unsigned both = of_a.field() + of_b.field() - (2 * half_scale_field - 3 * 127);
    fit = of_a.fit() && of_b.fit() && both - 1 < 254;
    a = __uint_as_float((half_scale_field - of_a.field()) << 23);
    b = __uint_as_float((half_scale_field - of_b.field()) << 23);
    back = __uint_as_float(both << 23);
  }
};

/// What a thread has copied of an operand's buffer, and may read before any barrier.
template <int extent, bool along, int threads>
class OwnElements {
 public:
  __device__ __forceinline__ explicit OwnElements(const Operand<extent, along, 0>& operand) {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      value_[i] = load_pack<4>(&operand.values[(row() + i * rows_at_once) * operand.stride + column()]);
    }
  }

  /// Groups are of one row of op(A): a pack, or the same place of all packs. What is no number counts for
  /// none.
  __device__ __forceinline__ Extremes extremes() const {
    Extremes extremes;
    constexpr int groups = along ? count : 4, group_size = along ? 4 : count;
#pragma unroll
    for (int g = 0; g < groups; ++g) {
      float largest = 0.0f;
#pragma unroll
      for (int i = 0; i < group_size; ++i)
        largest = fmaxf(largest, fabsf(along ? value_[g].value[i] : value_[i].value[g]));
      extremes.take(largest);
    }
    return extremes;
  }

  __device__ __forceinline__ void split(float scale, Halves<extent, along>& halves) const {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      std::uint32_t high[2], low[2];
#pragma unroll
      for (int pair = 0; pair < 2; ++pair) {
        const float2 x = make_float2(__fmul_rn(scale, value_[i].value[2 * pair]),
                                     __fmul_rn(scale, value_[i].value[2 * pair + 1]));
        high[pair] = to_halves(x);
        const float2 rounded = from_halves(high[pair]);
        low[pair] = to_halves(make_float2(__fsub_rn(x.x, rounded.x), __fsub_rn(x.y, rounded.y)));
      }
      const int to = (row() + i * rows_at_once) * halves.stride + column();
      *reinterpret_cast<uint2*>(&halves.high[to / 2]) = make_uint2(high[0], high[1]);
      *reinterpret_cast<uint2*>(&halves.low[to / 2]) = make_uint2(low[0], low[1]);
    }
  }

  /// Across k: adds up the elements of each of the thread's four rows of op(A).
  __device__ __forceinline__ void add_to(float (&sums)[4]) const {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float sum = 0.0f;
#pragma unroll
      for (int i = 0; i < count; ++i) sum += value_[i].value[e];
      sums[e] += sum;
    }
  }

 private:
  using Place = Copies<extent, along, 4, threads>;
  static constexpr int rows_at_once = Place::rows_at_once, count = Place::count;
  static __device__ __forceinline__ int row() {
    return static_cast<int>(threadIdx.x) / Place::packs_of_row;
  }
  static __device__ __forceinline__ int column() {
    return static_cast<int>(threadIdx.x) % Place::packs_of_row * 4;
  }

  Pack<4> value_[count];
};

template <class Tile, bool a_along, bool b_along>
struct HalfShared {
  Buffer<Tile, a_along, b_along, 0, 0> buffer[Tile::buffers];
  Halves<Tile::rows, a_along> a;
  Halves<Tile::columns, b_along> b;
  Extremes extremes[Tile::threads / 32][2];  ///< of each warp, of A and of B
};

/// A warp's 16 x 16 elements of an operand of mma_m16n8k16: op(A)'s rows from `first` on, or op(B)'s columns.
/// Of A the order of the four 8 x 8 parts is rows first, of B columns last.
template <int extent, bool along, bool is_a>
__device__ __forceinline__ void load_fragments(std::uint32_t (&high)[4], std::uint32_t (&low)[4],
                                               const Halves<extent, along>& halves, int first, int k) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int inner = lane % 8, second = lane / 8 % 2 * 8, third = lane / 16 * 8;
  const int i = first + (is_a ? second : third) + (along ? inner : 0);
  const int at_k = k + (is_a ? third : second) + (along ? 0 : inner);
  const int place = along ? i * halves.stride + at_k : at_k * halves.stride + i;
  load_matrices<!along>(high, &halves.high[place / 2]);
  load_matrices<!along>(low, &halves.low[place / 2]);
}

template <class Tile, bool a_along, bool b_along>
__device__ __forceinline__ void multiply_halves(const Halves<Tile::rows, a_along>& a,
                                                const Halves<Tile::columns, b_along>& b, int warp_row,
                                                int warp_column, float back, Sums<Tile>& sums) {
#pragma unroll 1
  for (int k = 0; k < depth; k += 16) {
    std::uint32_t a_high[Tile::warp_rows / 16][4], a_low[Tile::warp_rows / 16][4];
#pragma unroll
    for (int i = 0; i < Tile::warp_rows / 16; ++i)
      load_fragments<Tile::rows, a_along, true>(a_high[i], a_low[i], a, warp_row + 16 * i, k);
#pragma unroll
    for (int j = 0; j < Tile::warp_columns / 16; ++j) {
      std::uint32_t b_high[4], b_low[4];
      load_fragments<Tile::columns, b_along, false>(b_high, b_low, b, warp_column + 16 * j, k);
#pragma unroll
      for (int t = 0; t < 2; ++t) {
        const std::uint32_t high[2] = {b_high[2 * t], b_high[2 * t + 1]};
        const std::uint32_t low[2] = {b_low[2 * t], b_low[2 * t + 1]};
        // Instructions that wait for each other lie apart.
        float products[Tile::warp_rows / 16][4] = {};
#pragma unroll
        for (int i = 0; i < Tile::warp_rows / 16; ++i) mma_m16n8k16_f16(products[i], a_low[i], high);
#pragma unroll
        for (int i = 0; i < Tile::warp_rows / 16; ++i) mma_m16n8k16_f16(products[i], a_high[i], low);
#pragma unroll
        for (int i = 0; i < Tile::warp_rows / 16; ++i) mma_m16n8k16_f16(products[i], a_high[i], high);
#pragma unroll
        for (int i = 0; i < Tile::warp_rows / 16; ++i) {
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            float& sum = sums[i][2 * j + t][e];
            sum = __fmaf_rn(products[i][e], back, sum);
          }
        }
      }
    }
  }
}

/// As split_product_kernel, for operands whose rows are aligned.
template <class Tile, bool a_along, bool b_along>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks_per_multiprocessor)
    half_product_kernel(const __grid_constant__ Product product) {
  auto& shared = shared_memory<HalfShared<Tile, a_along, b_along>>();
  const Task task{blockIdx.x, blockIdx.y, gridDim.y};
  const Place<Tile> at(product, task.tile);
  const std::int64_t k_first = task.part * product.k_of_part;
  int k_left = static_cast<int>(min(product.k_of_part, product.k - k_first));
  const int steps = (k_left + depth - 1) / depth;

  Copies<Tile::rows, a_along, 4, Tile::threads> a(product.a, at.row, k_first);
  Copies<Tile::columns, b_along, 4, Tile::threads> b(product.b, at.column, k_first);
  const auto copy = [&](int step) {
    if (step < steps) {
      a.start(shared.buffer[step % Tile::buffers].a, k_left);
      b.start(shared.buffer[step % Tile::buffers].b, k_left);
      k_left -= depth;
    }
    copy_async_commit();
  };
#pragma unroll
  for (int step = 0; step < Tile::buffers; ++step) copy(step);

  constexpr int warps = Tile::threads / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  Sums<Tile> sums = {};
  float row_sums[4] = {};
  RowSums<Tile> none;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    auto& buffer = shared.buffer[step % Tile::buffers];
    copy_async_wait<Tile::buffers - 1>();
    const OwnElements<Tile::rows, a_along, Tile::threads> own_a(buffer.a);
    const OwnElements<Tile::columns, b_along, Tile::threads> own_b(buffer.b);
    if constexpr (adds_rows<a_along, b_along>) own_a.add_to(row_sums);
    Extremes of_a = own_a.extremes(), of_b = own_b.extremes();
    of_a = {__reduce_max_sync(full_warp, of_a.largest), __reduce_min_sync(full_warp, of_a.least)};
    of_b = {__reduce_max_sync(full_warp, of_b.largest), __reduce_min_sync(full_warp, of_b.least)};
    if (lane == 0) {
      shared.extremes[warp][0] = of_a;
      shared.extremes[warp][1] = of_b;
    }
    __syncthreads();  // all are through with the halves of the step before, and have copied this one's floats
#pragma unroll
    for (int w = 0; w < warps; ++w) {
      of_a.take(shared.extremes[w][0]);
      of_b.take(shared.extremes[w][1]);
    }
    const HalfScales scales(of_a, of_b);
    if (scales.fit) {
      own_a.split(scales.a, shared.a);
      own_b.split(scales.b, shared.b);
    } else {
      multiply<Tile, false>(buffer, at.warp_row, at.warp_column, sums, none);
    }
    __syncthreads();
    copy(step + Tile::buffers);  // all are through with what it takes the place of
    if (scales.fit) {
      multiply_halves<Tile>(shared.a, shared.b, at.warp_row, at.warp_column, scales.back, sums);
    }
  }

  store_sums(product, task, at, sums);
  if constexpr (adds_rows<a_along, b_along>) {
    if (product.row_sums == nullptr || at.column > 0) return;
    static_assert(Tile::rows == 32 * 4);
    float* of_warps = shared.buffer[0].a.values;  // which nobody reads behind the last step's barriers
#pragma unroll
    for (int e = 0; e < 4; ++e) of_warps[warp * Tile::rows + 4 * lane + e] = row_sums[e];
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < Tile::rows; i += Tile::threads) {
      float sum = 0.0f;
      for (int w = 0; w < warps; ++w) sum += of_warps[w * Tile::rows + i];
      if (at.row + i < product.c.rows) place_of_row_sums(product, task)[at.row + i] = sum;
    }
  }
}

/// As `start`, with operands split into halves; rows must be aligned.
template <class Tile, bool a_along, bool b_along>
void start_halves(cudaStream_t stream, const char* operator_name, const Product& product,
                  std::int64_t parts) {
  start_tiles<Tile>(stream, operator_name, product, parts, &half_product_kernel<Tile, a_along, b_along>,
                    sizeof(HalfShared<Tile, a_along, b_along>));
}

}  // namespace sea::cuda::split
