// Contrastive loss of queries against keys, forward and backward, without the n x m matrix.
//
// Two walks over the logits, as attention does them: by queries, for the maxima, sums and weighted sums of
// the keys (the queries' gradient), rescaled when a larger logit comes; then by keys, for theirs, with the
// finished sums. What a query is compared with are its columns: the keys and, with `intra`, all other
// queries, whose gradient as columns is added to theirs as queries. Floor: four products of 2 n m w
// operations and 2 n m exponentials: 2.1 GFLOP for 2,048 rows of 64, 32 us at 67 TFLOP/s in float32, without
// tensor cores. Memory O(n + m): the rows packed, and the results of each range of columns, which are
// combined in order. Logits have the same bits in both walks, so that no exponent is ever above 0.
//
// How many queries there are, the device knows: tiles behind them are left out.

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/context.cuh"
#include "common/sum_partials.cuh"
#include "sea/detail/checks/losses.hpp"
#include "sea/fast_exp.hpp"

namespace sea {

namespace {

using cuda::blocks_of;

constexpr const char* name = "contrastive";

/// Rows and columns of a tile of logits, and columns of a weighted sum that a block forms.
constexpr int tile_size = 64;
constexpr int slice = 16;  ///< of a dot product at a time
constexpr int walk_threads = 256;

constexpr int row_threads = 256;
constexpr int warps = row_threads / 32;

constexpr std::int64_t rounded_up(std::int64_t size, std::int64_t multiple) {
  return blocks_of(size, multiple) * multiple;
}

/// The rows, packed: keys from place 0, queries from place `key_places`, both followed by zeros up to whole
/// tiles, columns likewise up to whole slices. Columns of a query are the places below `column_places`.
struct Rows {
  float* packed;
  std::int64_t width;
  std::int64_t key_places, column_places, places;
  std::int64_t keys, queries;
  const std::int32_t* positives;  ///< null: the own number
  const StepState* state;

  __device__ std::int64_t query_count() const { return state != nullptr ? state->count : queries; }
  __device__ std::int64_t key_count() const { return positives != nullptr ? keys : query_count(); }
  __device__ bool valid(std::int64_t place) const {
    return place < key_places ? place < key_count() : place - key_places < query_count();
  }
  __device__ std::int64_t positive_of(std::int64_t query) const {
    return positives != nullptr ? positives[query] : query;
  }
};

/// What a walk by columns needs of each query.
struct QueryFactors {
  float* largest;         ///< logit
  float* inverse_sum;     ///< times the gradient's scale
  float* of_positive;     ///< that scale
  float* positive_logit;  ///< written by the walk by queries
};

/// What a walk leaves for each range of columns (split) and each of its rows.
struct WalkResult {
  float* attended;  ///< weighted sums, splits x rows x width
  float* largest;   ///< splits x rows, by queries alone, as are the sums
  float* sums;
  std::int64_t rows;
  std::int64_t tiles_per_split, splits;

  __device__ std::int64_t place_of(std::int64_t split, std::int64_t row) const { return split * rows + row; }
};

struct WalkShared {
  static constexpr int line = tile_size + 4;
  alignas(16) float left[slice][line];
  alignas(16) float right[slice][line];
  alignas(16) float weights[tile_size][line];  ///< of each column of the tile, all rows
  alignas(16) float values[tile_size][line];   ///< of each column of the tile, what is summed
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

/// The dot products of the rows from place `left` on with those from place `right` on.
__device__ __forceinline__ void dot_tile(const Rows& rows, std::int64_t left, std::int64_t right,
                                         WalkShared& shared, float (&dots)[4][4]) {
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread / 4, column = thread % 4 * 4;
  for (std::int64_t k = 0; k < rows.width; k += slice) {
    const float4 from_left =
        *reinterpret_cast<const float4*>(rows.packed + (left + row) * rows.width + k + column);
    const float4 from_right =
        *reinterpret_cast<const float4*>(rows.packed + (right + row) * rows.width + k + column);
    const float l[4] = {from_left.x, from_left.y, from_left.z, from_left.w};
    const float r[4] = {from_right.x, from_right.y, from_right.z, from_right.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      shared.left[column + i][row] = l[i];
      shared.right[column + i][row] = r[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < slice; ++i) {
      add_outer_product(dots, &shared.left[i][thread / 16 * 4], &shared.right[i][thread % 16 * 4]);
    }
    __syncthreads();
  }
}

/// attended += weights times the columns [first, first + 64) of the rows from place `right` on.
__device__ __forceinline__ void attend_tile(const Rows& rows, std::int64_t right, std::int64_t first,
                                            WalkShared& shared, float (&attended)[4][4]) {
  const int thread = static_cast<int>(threadIdx.x), x = thread % 16 * 4, y = thread / 16 * 4;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = thread / 16 + 16 * i;
    const bool valid = first + x < rows.width;
    cuda::copy_async_16(&shared.values[row][x],
                        rows.packed + (right + row) * rows.width + (valid ? first + x : 0), valid);
  }
  cuda::copy_async_commit();
  cuda::copy_async_wait<0>();
  __syncthreads();
#pragma unroll 8
  for (int column = 0; column < tile_size; ++column) {
    add_outer_product(attended, &shared.weights[column][y], &shared.values[column][x]);
  }
  __syncthreads();
}

/// Sixteen by sixteen threads, each with four rows and four columns. blockIdx: 64 rows, a split, 64 columns
/// of the weighted sums.
template <bool by_queries>
__global__ void __launch_bounds__(walk_threads, 2)
    walk_kernel(Rows rows, QueryFactors queries, WalkResult result, float inverse_temperature) {
  auto& shared = cuda::shared_memory<WalkShared>();
  const int thread = static_cast<int>(threadIdx.x), x = thread % 16 * 4, y = thread / 16 * 4;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * tile_size;
  const std::int64_t first_value = static_cast<std::int64_t>(blockIdx.z) * tile_size;
  const std::int64_t left = by_queries ? rows.key_places + first_row : first_row;
  if (!rows.valid(left)) return;
  const std::int64_t tiles = (by_queries ? rows.column_places : rows.places - rows.key_places) / tile_size;
  const std::int64_t first_tile = blockIdx.y * result.tiles_per_split;
  const std::int64_t end_tile = min(first_tile + result.tiles_per_split, tiles);

  float attended[4][4] = {};
  float largest[4], sums[4] = {};
#pragma unroll
  for (int a = 0; a < 4; ++a) largest[a] = -INFINITY;
  for (std::int64_t tile = first_tile; tile < end_tile; ++tile) {
    const std::int64_t right = (by_queries ? 0 : rows.key_places) + tile * tile_size;
    if (!rows.valid(right)) continue;
    float dots[4][4] = {};
    dot_tile(rows, left, right, shared, dots);
#pragma unroll
    for (int a = 0; a < 4; ++a) {
      float logits[4];
      bool counts[4];
      float tile_largest = largest[a];
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        const std::int64_t at_left = left + y + a, at_right = right + x + b;
        counts[b] = rows.valid(at_right) && at_left != at_right;
        logits[b] = __fmul_rn(dots[a][b], inverse_temperature);
        if (counts[b] && logits[b] > tile_largest) tile_largest = logits[b];
      }
      if constexpr (by_queries) {
#pragma unroll
        for (int half = 8; half > 0; half /= 2) {
          const float other = __shfl_xor_sync(cuda::full_warp, tile_largest, half);
          if (other > tile_largest) tile_largest = other;
        }
        const float rescale = tile_largest > largest[a] ? fast_exp(largest[a] - tile_largest) : 1.0f;
        largest[a] = tile_largest;
        sums[a] *= rescale;
        const std::int64_t query = first_row + y + a;
        const std::int64_t positive = query < rows.query_count() ? rows.positive_of(query) : -1;
#pragma unroll
        for (int b = 0; b < 4; ++b) {
          attended[a][b] *= rescale;
          const float e = counts[b] ? fast_exp(logits[b] - tile_largest) : 0.0f;
          sums[a] += e;
          shared.weights[x + b][y + a] = e;
          if (positive == right + x + b && blockIdx.z == 0) queries.positive_logit[query] = logits[b];
        }
      } else {
#pragma unroll
        for (int b = 0; b < 4; ++b) {
          const std::int64_t query = right + x + b - rows.key_places;
          float weight = 0.0f;
          if (counts[b]) {
            weight = fast_exp(logits[b] - queries.largest[query]) * queries.inverse_sum[query];
            if (rows.positive_of(query) == left + y + a) weight -= queries.of_positive[query];
          }
          shared.weights[x + b][y + a] = weight;
        }
      }
    }
    attend_tile(rows, right, first_value, shared, attended);
  }

#pragma unroll
  for (int a = 0; a < 4; ++a) {
    const std::int64_t at = result.place_of(blockIdx.y, first_row + y + a);
    if (first_value + x < rows.width) {
      *reinterpret_cast<float4*>(result.attended + at * rows.width + first_value + x) =
          make_float4(attended[a][0], attended[a][1], attended[a][2], attended[a][3]);
    }
    if constexpr (by_queries) {
#pragma unroll
      for (int half = 8; half > 0; half /= 2) {
        sums[a] += __shfl_xor_sync(cuda::full_warp, sums[a], half);
      }
      if (x == 0 && blockIdx.z == 0) {
        result.sums[at] = sums[a];
        result.largest[at] = largest[a];
      }
    }
  }
}

/// Packs the rows that count, from place `first` on, and zeros up to `places`. One warp per row.
__global__ void __launch_bounds__(row_threads)
    pack_kernel(Rows rows, ConstMatrixView matrix, std::int64_t first, std::int64_t places) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / 32;
  if (i >= places) return;
  const bool valid = rows.valid(first + i);
  for (std::int64_t k = threadIdx.x % 32; k < rows.width; k += 32) {
    rows.packed[(first + i) * rows.width + k] = valid && k < matrix.columns ? matrix(i, k) : 0.0f;
  }
}

struct Shared {
  double warp_sums[32];
};

/// After the walk by queries: the loss, the queries' gradient but for what they get as columns, and what the
/// other walk needs of them. One warp per query.
__global__ void __launch_bounds__(row_threads)
    finish_queries_kernel(Rows rows, ConstMatrixView keys, QueryFactors queries, WalkResult walk, bool mean,
                          double epsilon, double scale, MatrixView d_queries, double* losses) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / 32;
  const std::int64_t count = rows.query_count();
  const double share = mean ? 1.0 / static_cast<double>(count) : 1.0;
  double loss = 0.0;
  if (i < count) {
    float largest = -INFINITY;
    for (std::int64_t split = 0; split < walk.splits; ++split) {
      const float other = walk.largest[walk.place_of(split, i)];
      if (other > largest) largest = other;
    }
    double sum = 0.0;
    for (std::int64_t split = 0; split < walk.splits; ++split) {
      const std::int64_t at = walk.place_of(split, i);
      sum += static_cast<double>(walk.sums[at]) * static_cast<double>(fast_exp(walk.largest[at] - largest));
    }
    double row_loss =
        log(sum) - (static_cast<double>(queries.positive_logit[i]) - static_cast<double>(largest));
    double factor = 1.0;
    if (epsilon > 0.0) {
      const double ratio = exp(-row_loss);
      factor = ratio / (ratio + epsilon);
      row_loss = -log(ratio + epsilon);
    }
    if (lane == 0) loss = share * row_loss;
    const auto of_positive = static_cast<float>(scale * share * factor);
    const auto inverse_sum = static_cast<float>(scale * share * factor / sum);
    if (lane == 0) {
      queries.largest[i] = largest;
      queries.inverse_sum[i] = inverse_sum;
      queries.of_positive[i] = of_positive;
    }
    const float* positive = keys.row(rows.positive_of(i));
    for (std::int64_t k = lane; k < d_queries.columns; k += 32) {
      float attended = 0.0f;
      for (std::int64_t split = 0; split < walk.splits; ++split) {
        const std::int64_t at = walk.place_of(split, i);
        attended =
            __fmaf_rn(fast_exp(walk.largest[at] - largest), walk.attended[at * rows.width + k], attended);
      }
      d_queries(i, k) = __fmaf_rn(inverse_sum, attended, -of_positive * positive[k]);
    }
  } else if (i < rows.queries) {
    for (std::int64_t k = lane; k < d_queries.columns; k += 32) d_queries(i, k) = 0.0f;
  }
  loss = cuda::block_sum<row_threads>(loss, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) losses[blockIdx.x] = loss;
}

/// After the walk by columns: the gradient of the columns from place `first` on, written or added; zeros
/// where a row does not count. One warp per row.
template <bool accumulate>
__global__ void __launch_bounds__(row_threads)
    finish_columns_kernel(Rows rows, WalkResult walk, std::int64_t first, MatrixView gradient) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / 32;
  if (i >= gradient.rows) return;
  const bool valid = rows.valid(first + i);
  for (std::int64_t k = threadIdx.x % 32; k < gradient.columns; k += 32) {
    float sum = 0.0f;
    for (std::int64_t split = 0; valid && split < walk.splits; ++split) {
      sum += walk.attended[walk.place_of(split, first + i) * rows.width + k];
    }
    gradient(i, k) = accumulate ? gradient(i, k) + sum : sum;
  }
}

/// How the tiles that a walk passes over are cut: enough blocks to fill a large device several times, at
/// least four tiles each. Depends on the shapes only, and the results' order of addition with it.
struct Splits {
  std::int64_t tiles_per_split;
  std::int64_t count;

  Splits(std::int64_t rows, std::int64_t columns) {
    constexpr std::int64_t wanted_blocks = 1024, most = 16, fewest_tiles = 4;
    const std::int64_t tiles = blocks_of(columns, tile_size);
    const std::int64_t splits =
        std::min(std::min(wanted_blocks / blocks_of(rows, tile_size), most), tiles / fewest_tiles);
    tiles_per_split = blocks_of(tiles, std::max<std::int64_t>(splits, 1));
    count = blocks_of(tiles, tiles_per_split);
  }
};

/// The sizes of a call's arrays.
struct Sizes {
  std::int64_t width, query_places, key_places, column_places;
  Splits of_queries, of_columns;

  Sizes(std::int64_t queries, std::int64_t keys, std::int64_t columns, bool intra)
      : width(rounded_up(columns, slice)),
        query_places(rounded_up(queries, tile_size)),
        key_places(rounded_up(keys, tile_size)),
        column_places(key_places + (intra ? query_places : 0)),
        of_queries(query_places, column_places),
        of_columns(column_places, query_places) {}

  std::int64_t places() const { return key_places + query_places; }
  std::int64_t result_rows() const {
    return std::max(of_queries.count * query_places, of_columns.count * column_places);
  }
  std::int64_t loss_blocks() const { return blocks_of(query_places, warps); }
};

cuda::Grid row_grid(std::int64_t rows) {
  return {dim3(cuda::grid_size(blocks_of(rows, warps))), dim3(row_threads), sizeof(Shared)};
}

}  // namespace

std::size_t CudaBackend::contrastive_workspace(std::int64_t queries, std::int64_t keys, std::int64_t width,
                                               bool intra) const {
  const Sizes sizes(queries, keys, width, intra);
  return cuda::scratch_bytes<float>(sizes.places() * sizes.width) +
         cuda::scratch_bytes<float>(sizes.result_rows() * sizes.width) +
         2 * cuda::scratch_bytes<float>(sizes.of_queries.count * sizes.query_places) +
         4 * cuda::scratch_bytes<float>(queries) + cuda::scratch_bytes<double>(sizes.loss_blocks());
}

void CudaBackend::contrastive(ConstMatrixView queries, ConstMatrixView keys, ConstIndexView positives,
                              const ContrastiveSettings& settings, const StepState* state, float weight,
                              float* loss, MatrixView d_queries, MatrixView d_keys, Workspace workspace) {
  const std::int64_t n = queries.rows, width = queries.columns;
  checks::contrastive(queries, keys, positives, settings, d_queries, d_keys);

  const Sizes sizes(n, keys.rows, width, settings.intra);
  cuda::Scratch scratch(name, workspace);
  const Rows rows{scratch.take<float>(sizes.places() * sizes.width),
                  sizes.width,
                  sizes.key_places,
                  sizes.column_places,
                  sizes.places(),
                  keys.rows,
                  n,
                  positives.empty() ? nullptr : positives.data(),
                  state};
  WalkResult by_queries{};
  by_queries.attended = scratch.take<float>(sizes.result_rows() * sizes.width);
  by_queries.largest = scratch.take<float>(sizes.of_queries.count * sizes.query_places);
  by_queries.sums = scratch.take<float>(sizes.of_queries.count * sizes.query_places);
  by_queries.rows = sizes.query_places;
  by_queries.tiles_per_split = sizes.of_queries.tiles_per_split;
  by_queries.splits = sizes.of_queries.count;
  // The second walk's results take the place of the first one's, which have been read by then.
  WalkResult by_columns{};
  by_columns.attended = by_queries.attended;
  by_columns.rows = sizes.column_places;
  by_columns.tiles_per_split = sizes.of_columns.tiles_per_split;
  by_columns.splits = sizes.of_columns.count;
  QueryFactors factors{};
  factors.largest = scratch.take<float>(n);
  factors.inverse_sum = scratch.take<float>(n);
  factors.of_positive = scratch.take<float>(n);
  factors.positive_logit = scratch.take<float>(n);
  double* losses = scratch.take<double>(sizes.loss_blocks());

  const cudaStream_t stream = context_->stream;
  const auto walk = [&](auto kernel, const WalkResult& result) {
    const dim3 blocks(cuda::grid_size(result.rows / tile_size), cuda::grid_size(result.splits),
                      cuda::grid_size(blocks_of(sizes.width, tile_size)));
    cuda::launch(stream, name, {blocks, dim3(walk_threads), sizeof(WalkShared)}, kernel, rows, factors,
                 result, 1.0f / settings.temperature);
  };
  const double scale = static_cast<double>(weight) / static_cast<double>(settings.temperature);
  cuda::launch(stream, name, row_grid(sizes.key_places), &pack_kernel, rows, keys, std::int64_t{0},
               sizes.key_places);
  cuda::launch(stream, name, row_grid(sizes.query_places), &pack_kernel, rows, queries, sizes.key_places,
               sizes.query_places);
  walk(&walk_kernel<true>, by_queries);
  cuda::launch(stream, name, row_grid(sizes.query_places), &finish_queries_kernel, rows, keys, factors,
               by_queries, settings.mean, static_cast<double>(settings.epsilon), scale, d_queries, losses);
  cuda::write_loss(stream, name, losses, sizes.loss_blocks(), 1.0, loss);
  walk(&walk_kernel<false>, by_columns);
  cuda::launch(stream, name, row_grid(keys.rows), &finish_columns_kernel<false>, rows, by_columns,
               std::int64_t{0}, d_keys);
  if (settings.intra) {
    cuda::launch(stream, name, row_grid(n), &finish_columns_kernel<true>, rows, by_columns, sizes.key_places,
                 d_queries);
  }
}

}  // namespace sea
