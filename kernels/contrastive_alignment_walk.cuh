#pragma once

#include <cmath>
#include <cstdint>

#include "common/approximate.cuh"
#include "common/check.cuh"
#include "common/launch.cuh"
#include "common/tensor_core.cuh"
#include "variants.cuh"

// The walks of contrastive_alignment over its logits. A block holds some queries and passes over a range of
// the keys, a tile at a time, as attention does: logits, exponentials, weights and the weighted sum of the
// keys never leave the chip. Logits are bounded, so that the exponent's shift is a constant and the results
// of several ranges are simply added: the ranges (splits) fill the device where queries alone are too few.

namespace sea::cuda {

/// Packed matrices have a multiple of this many rows: whole blocks of queries, and whole buffers of keys.
inline constexpr int alignment_rows = 128;

/// Rows without gaps, followed by rows of zeros up to a multiple of `alignment_rows`, columns likewise padded
/// with zeros to `width`. For the tensor cores `values` are TF32 numbers and `rest` what is left of them.
struct PackedRows {
  const float* values;
  const float* rest;
  std::int64_t count;
  std::int64_t width;

  SEA_HOST_DEVICE std::int64_t padded() const {
    return (count + alignment_rows - 1) / alignment_rows * alignment_rows;
  }
};

/// What a walk computes; e = exp((query . key - 1) / temperature), as 2 to the power scale * query . key -
/// scale.
enum class WalkKind {
  sums,            ///< the sum of e over the keys
  attend,          ///< that, and the sum of e * key
  attend_by_keys,  ///< the sum of e * key_factor * key
  attend_by_both,  ///< the sum of e * (query_factor + key_factor) * key
};

struct AlignmentWalk {
  PackedRows queries, keys;
  std::int64_t tiles_per_split;   ///< of keys
  float scale;                    ///< log2(e) / temperature
  const std::int32_t* positions;  ///< the key that is a query's positive, or -1; null: its own number
  const float* query_factors;
  const float* key_factors;
  float* attended;   ///< splits x queries.padded() x width
  float* sums;       ///< splits x queries.padded()
  float* positives;  ///< e of a query's positive, where it is among the keys

  __device__ std::int64_t first_tile() const { return blockIdx.y * tiles_per_split; }
  template <class Tiling>
  __device__ std::int64_t end_tile() const {
    return min(first_tile() + tiles_per_split, (keys.count + Tiling::keys - 1) / Tiling::keys);
  }
  /// The positive of a query, as far as a walk is to note it.
  __device__ int position_of(std::int64_t query) const {
    if (query >= queries.count) return -1;
    return positions != nullptr ? positions[query] : static_cast<int>(query);
  }
  __device__ float query_factor(std::int64_t query) const {
    return query < queries.count ? query_factors[query] : 0.0f;
  }
  /// Where this split's results for a query lie.
  __device__ std::int64_t place_of(std::int64_t query) const { return blockIdx.y * queries.padded() + query; }
};

template <WalkKind kind>
inline constexpr bool walk_sums = kind == WalkKind::sums || kind == WalkKind::attend;

/// The weight of a key, from e and the factors.
template <WalkKind kind>
__device__ __forceinline__ float walk_weight(float e, float query_factor, float key_factor) {
  if constexpr (kind == WalkKind::attend_by_keys) return e * key_factor;
  if constexpr (kind == WalkKind::attend_by_both) return e * (query_factor + key_factor);
  return e;
}

// ---- width up to 32, on the tensor cores

/// Warps with 32 queries each: their fragments stay in registers, each key fragment serves two products. A
/// tile's row is four floats longer than it need be, so that neither product meets a bank conflict.
inline constexpr int tensor_walk_width = 32;

template <class Tiling>
struct TensorWalkShared {
  struct Tile {
    alignas(16) float big[Tiling::keys][tensor_walk_width + 4];
    alignas(16) float small[Tiling::keys][tensor_walk_width + 4];
    float factor[Tiling::keys];
  };
  Tile tiles[2];
  float positives[Tiling::queries];  ///< e of each query's positive; negative where it is not among the keys
};

/// Starts the copy of a tile.
template <class Tiling, WalkKind kind>
__device__ __forceinline__ void copy_keys(const AlignmentWalk& walk, std::int64_t tile_number,
                                          typename TensorWalkShared<Tiling>::Tile& tile) {
  static_assert(alignment_rows % Tiling::queries == 0 && alignment_rows % Tiling::keys == 0);
  constexpr int packs_per_row = tensor_walk_width / 4, rows_at_once = Tiling::threads / packs_per_row;
  const std::int64_t first = tile_number * Tiling::keys;
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread / packs_per_row, column = thread % packs_per_row * 4;
  const std::int64_t source = (first + row) * tensor_walk_width + column;
  const float *values = walk.keys.values + source, *rest = walk.keys.rest + source;
#pragma unroll
  for (int i = 0; i < Tiling::keys; i += rows_at_once) {
    copy_async_16(&tile.big[row + i][column], values + i * tensor_walk_width);
    copy_async_16(&tile.small[row + i][column], rest + i * tensor_walk_width);
  }
  if constexpr (!walk_sums<kind>) {
    const bool valid = first + thread < walk.keys.count;
    if (thread < Tiling::keys) {
      copy_async_4(&tile.factor[thread], walk.key_factors + (valid ? first + thread : 0), valid);
    }
  }
}

template <class Tiling, WalkKind kind>
__global__ void __launch_bounds__(Tiling::threads, Tiling::blocks_per_multiprocessor)
    tensor_walk_kernel(AlignmentWalk walk) {
  constexpr int steps = tensor_walk_width / 8;
  auto& shared = shared_memory<TensorWalkShared<Tiling>>();
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int group = lane / 4, place = lane % 4;
  // Of this lane: the rows first + 16 m + group and 8 below.
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * Tiling::queries + warp * 32 + group;
  const bool idle = first - group >= walk.queries.count;  // the whole warp

  float* own_positives = &shared.positives[warp * 32 + group];
  SplitA queries[2][steps];
  int positive[2][2];
  float query_factor[2][2], sums[2][2] = {};
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int i = 0; i < 4 * steps; ++i) {
      const std::int64_t source =
          (first + 16 * m + i % 2 * 8) * tensor_walk_width + i / 4 * 8 + i / 2 % 2 * 4 + place;
      queries[m][i / 4].big[i % 4] = __float_as_uint(walk.queries.values[source]);
      queries[m][i / 4].small[i % 4] = __float_as_uint(walk.queries.rest[source]);
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const std::int64_t query = first + 16 * m + 8 * r;
      if constexpr (walk_sums<kind>) {
        positive[m][r] = walk.position_of(query);
        if (place == 0) own_positives[16 * m + 8 * r] = -1.0f;
      }
      if constexpr (kind == WalkKind::attend_by_both) query_factor[m][r] = walk.query_factor(query);
    }
  }

  float attended[2][steps][4] = {};
  const int end = static_cast<int>(walk.end_tile<Tiling>());
  int number = static_cast<int>(walk.first_tile()), buffer = 0;
  copy_keys<Tiling, kind>(walk, number, shared.tiles[0]);
  copy_async_commit();
  for (; number < end; ++number, buffer ^= 1) {
    if (number + 1 < end) copy_keys<Tiling, kind>(walk, number + 1, shared.tiles[buffer ^ 1]);
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    const typename TensorWalkShared<Tiling>::Tile& tile = shared.tiles[buffer];
    const int first_key = number * Tiling::keys;
    const int keys = idle ? 0 : min(Tiling::keys, static_cast<int>(walk.keys.count) - first_key);
#pragma unroll 1
    for (int key = 0; key < keys; key += 8) {
      float e[2][4] = {};
#pragma unroll
      for (int k = 0; k < steps; ++k) {
        SplitB b;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          b.big[i] = __float_as_uint(tile.big[key + group][8 * k + 4 * i + place]);
          b.small[i] = __float_as_uint(tile.small[key + group][8 * k + 4 * i + place]);
        }
#pragma unroll
        for (int m = 0; m < 2; ++m) mma_m16n8k8_tf32x3(e[m], queries[m][k], b);
      }
      // Of this lane: the keys `own` and own + 1. Products take the keys of a step in the order 0, 2, 4, 6,
      // 1, 3, 5, 7, so that a lane's exponentials are the very ones it needs as an operand.
      const int own = key + 2 * place;
      SplitA weights[2];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int r = i / 2, c = i % 2;
          // Keys behind the last one are rows of zeros, which no weight makes count but in the sums.
          float exponent = __fmaf_rn(e[m][i], walk.scale, -walk.scale);
          if constexpr (walk_sums<kind>) exponent = own + c < keys ? exponent : -INFINITY;
          const float value = exp2_approx(exponent);
          if constexpr (walk_sums<kind>) {
            sums[m][r] += value;
            if (positive[m][r] == first_key + own + c) own_positives[16 * m + 8 * r] = value;
          }
          if constexpr (kind == WalkKind::attend) weights[m].set(r + 2 * c, value);
          if constexpr (!walk_sums<kind>) {
            weights[m].set(r + 2 * c, walk_weight<kind>(value, query_factor[m][r], tile.factor[own + c]));
          }
        }
      }
      if constexpr (kind != WalkKind::sums) {
#pragma unroll
        for (int k = 0; k < steps; ++k) {
          SplitB b;
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            b.big[i] = __float_as_uint(tile.big[own + i][8 * k + group]);
            b.small[i] = __float_as_uint(tile.small[own + i][8 * k + group]);
          }
#pragma unroll
          for (int m = 0; m < 2; ++m) mma_m16n8k8_tf32x3(attended[m][k], weights[m], b);
        }
      }
    }
    __syncthreads();
  }

#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const std::int64_t at = walk.place_of(first + 16 * m + 8 * r);
      if constexpr (walk_sums<kind>) {
        float sum = sums[m][r];
        sum += __shfl_xor_sync(full_warp, sum, 1);
        sum += __shfl_xor_sync(full_warp, sum, 2);
        if (place == 0) walk.sums[at] = sum;
        const float e_of_positive = own_positives[16 * m + 8 * r];
        if (place == 0 && !(e_of_positive < 0.0f)) walk.positives[first + 16 * m + 8 * r] = e_of_positive;
      }
      if constexpr (kind != WalkKind::sums) {
#pragma unroll
        for (int k = 0; k < steps; ++k) {
          *reinterpret_cast<float2*>(walk.attended + at * tensor_walk_width + 8 * k + 2 * place) =
              make_float2(attended[m][k][2 * r], attended[m][k][2 * r + 1]);
        }
      }
    }
  }
}

// ---- any width

/// Sixteen by sixteen threads, each with four queries and four keys or columns. The weighted sums are added
/// up in global memory, which the block alone touches.
struct PlainWalkTiling {
  static constexpr int queries = 64, keys = 64, threads = 256, blocks_per_multiprocessor = 2;
};
inline constexpr int plain_walk_slice = 16;  ///< columns of a logit's dot product at a time
static_assert(PlainWalkTiling::keys == PlainWalkTiling::queries &&
              alignment_rows % PlainWalkTiling::queries == 0);

struct PlainWalkShared {
  static constexpr int row = PlainWalkTiling::queries + 4;
  alignas(16) float queries[plain_walk_slice][row];
  alignas(16) float keys[plain_walk_slice][row];
  alignas(16) float weights[PlainWalkTiling::keys][row];  ///< of each key, all queries
  alignas(16) float columns[PlainWalkTiling::keys][row];  ///< of each key, 64 of its columns
};

/// out[a][b] += left[a] * right[b].
__device__ __forceinline__ void add_outer_product(float (&out)[4][4], const float* left, const float* right) {
  const float4 x = *reinterpret_cast<const float4*>(left), y = *reinterpret_cast<const float4*>(right);
  const float l[4] = {x.x, x.y, x.z, x.w}, r[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
  for (int a = 0; a < 4; ++a) {
#pragma unroll
    for (int b = 0; b < 4; ++b) out[a][b] = __fmaf_rn(l[a], r[b], out[a][b]);
  }
}

template <WalkKind kind>
__global__ void __launch_bounds__(PlainWalkTiling::threads, PlainWalkTiling::blocks_per_multiprocessor)
    plain_walk_kernel(AlignmentWalk walk) {
  PlainWalkShared& shared = shared_memory<PlainWalkShared>();
  const int thread = static_cast<int>(threadIdx.x);
  const int x = thread % 16 * 4, y = thread / 16 * 4;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * PlainWalkTiling::queries;
  const std::int64_t width = walk.queries.width;

  float sums[4] = {};
  for (std::int64_t number = walk.first_tile(); number < walk.end_tile<PlainWalkTiling>(); ++number) {
    const std::int64_t first_key = number * PlainWalkTiling::keys;
    float dots[4][4] = {};
    for (std::int64_t k = 0; k < width; k += plain_walk_slice) {
      const int row = thread / 4, column = thread % 4 * 4;
      const float4 query =
          *reinterpret_cast<const float4*>(walk.queries.values + (first + row) * width + k + column);
      const float4 key =
          *reinterpret_cast<const float4*>(walk.keys.values + (first_key + row) * width + k + column);
      const float from_query[4] = {query.x, query.y, query.z, query.w};
      const float from_key[4] = {key.x, key.y, key.z, key.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        shared.queries[column + i][row] = from_query[i];
        shared.keys[column + i][row] = from_key[i];
      }
      __syncthreads();
#pragma unroll
      for (int i = 0; i < plain_walk_slice; ++i) {
        add_outer_product(dots, &shared.queries[i][y], &shared.keys[i][x]);
      }
      __syncthreads();
    }

#pragma unroll
    for (int a = 0; a < 4; ++a) {
      const std::int64_t query = first + y + a;
      const float query_factor = kind == WalkKind::attend_by_both ? walk.query_factor(query) : 0.0f;
      const int positive = walk_sums<kind> ? walk.position_of(query) : -1;
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        const std::int64_t key = first_key + x + b;
        const bool valid = key < walk.keys.count;
        const float exponent = __fmaf_rn(dots[a][b], walk.scale, -walk.scale);
        const float value = exp2_approx(valid ? exponent : -INFINITY);
        sums[a] += value;
        if (walk_sums<kind> && positive == key) walk.positives[query] = value;
        const float key_factor = !walk_sums<kind> && valid ? walk.key_factors[key] : 0.0f;
        shared.weights[x + b][y + a] = walk_weight<kind>(value, query_factor, key_factor);
      }
    }
    if constexpr (kind != WalkKind::sums) {
      for (std::int64_t column = 0; column < width; column += PlainWalkTiling::queries) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int row = thread / 16 + 16 * i;
          const bool valid = column + x < width;
          copy_async_16(&shared.columns[row][x],
                        walk.keys.values + (first_key + row) * width + (valid ? column + x : 0), valid);
        }
        copy_async_commit();
        copy_async_wait<0>();
        __syncthreads();
        float products[4][4] = {};
#pragma unroll 8
        for (int key = 0; key < PlainWalkTiling::keys; ++key) {
          add_outer_product(products, &shared.weights[key][y], &shared.columns[key][x]);
        }
        if (column + x < width) {
#pragma unroll
          for (int a = 0; a < 4; ++a) {
            auto* to =
                reinterpret_cast<float4*>(walk.attended + walk.place_of(first + y + a) * width + column + x);
            float4 sum = make_float4(products[a][0], products[a][1], products[a][2], products[a][3]);
            if (number > walk.first_tile()) {
              const float4 before = *to;
              sum = make_float4(before.x + sum.x, before.y + sum.y, before.z + sum.z, before.w + sum.w);
            }
            *to = sum;
          }
        }
        __syncthreads();
      }
    }
  }
  if constexpr (walk_sums<kind>) {
#pragma unroll
    for (int a = 0; a < 4; ++a) {
#pragma unroll
      for (int half = 8; half > 0; half /= 2) sums[a] += __shfl_xor_sync(full_warp, sums[a], half);
      if (x == 0) walk.sums[walk.place_of(first + y + a)] = sums[a];
    }
  }
}

/// How the keys of a walk are cut: so that the blocks fill whole waves of a large device, at least 256 keys
/// each. Depends on the shapes only, and the results' order of addition with it.
struct WalkSplits {
  std::int64_t tiles_per_split = 0;
  std::int64_t count = 0;

  template <class Tiling>
  static WalkSplits of(std::int64_t queries, std::int64_t keys) {
    // An H200 has 132 multiprocessors. What a block does beside its tiles costs about as much as 128 keys.
    constexpr std::int64_t wave = 132 * Tiling::blocks_per_multiprocessor, most = 16;
    constexpr std::int64_t fewest_tiles = 256 / Tiling::keys, beside_tiles = 128 / Tiling::keys;
    const std::int64_t tiles = blocks_of(keys, Tiling::keys);
    WalkSplits best;
    std::int64_t least = 0;
    for (std::int64_t splits = 1; splits <= most && (splits == 1 || splits * fewest_tiles <= tiles);
         ++splits) {
      const std::int64_t each = blocks_of(tiles, splits), cut = blocks_of(tiles, each);
      const std::int64_t time =
          blocks_of(blocks_of(queries, Tiling::queries) * cut, wave) * (each + beside_tiles);
      if (splits > 1 && time >= least) continue;
      least = time;
      best = {each, cut};
    }
    return best;
  }
};

/// Starts a walk over all queries, in `splits` ranges of keys, on the tensor cores.
template <class Tiling, WalkKind kind>
void start_tensor_walk(cudaStream_t stream, const char* operator_name, const AlignmentWalk& walk,
                       std::int64_t splits) {
  const dim3 blocks(grid_size(walk.queries.padded() / Tiling::queries), grid_size(splits));
  launch(stream, operator_name, {blocks, dim3(Tiling::threads), sizeof(TensorWalkShared<Tiling>)},
         &tensor_walk_kernel<Tiling, kind>, walk);
}

template <WalkKind kind>
void start_plain_walk(cudaStream_t stream, const char* operator_name, const AlignmentWalk& walk,
                      std::int64_t splits) {
  const dim3 blocks(grid_size(walk.queries.padded() / PlainWalkTiling::queries), grid_size(splits));
  launch(stream, operator_name, {blocks, dim3(PlainWalkTiling::threads), sizeof(PlainWalkShared)},
         &plain_walk_kernel<kind>, walk);
}

}  // namespace sea::cuda
