#pragma once

#include <algorithm>

#include "club_fit.cuh"
#include "common/launch.cuh"

// club_fit for width 32 and 8 hidden units. A tile goes through five stages, each with all threads of the
// block, four per row, at work and everything in shared memory:
//   hidden layers: four units of a row per thread;     outputs: sixteen of a row;
//   likelihood: eight features, element by element;  hidden layers' gradients: four units of a row;
//   parameters' gradients: 4 x 4 of them a thread, over sixteen of the rows, in registers until the chunk
//   ends.
// The last needs rows, the others columns of the same arrays: rows are padded to 36 and 20 floats, where
// 16-byte accesses of neighbouring rows meet no bank conflict.

namespace sea::cuda {

template <class Tiling>
struct FitTiles {
  static constexpr int rows = Tiling::rows, threads = Tiling::threads;
  static constexpr int slices = threads / 64, slice_rows = rows / slices;  ///< of a tile's rows
  static constexpr int width = 32, hidden = 8;
  // Where the arrays of one half of q begin.
  static constexpr int b_in = hidden * width, w_out = b_in + hidden, b_out = w_out + width * hidden;
  static constexpr int half_size = b_out + width, count = 2 * half_size;
  static constexpr int row = width + 4, hidden_row = 2 * hidden + 4;
  static constexpr int adam_steps = 64;

  /// The rows of a tile; zeros where the pair has no more.
  struct Tile {
    alignas(16) float x[rows][row];
    alignas(16) float y[rows][row];
  };

  /// The tiles follow.
  struct Shared {
    alignas(16) float parameters[count];
    float first_moment[count];
    float second_moment[count];
    alignas(16) float out[2][rows][row];  ///< of both halves; later their gradients
    alignas(16) float hidden[rows][hidden_row];
    alignas(16) float d_hidden[rows][hidden_row];
    double warp_sums[32];
    AdamStep adam[adam_steps];

    __device__ Tile* tiles() { return reinterpret_cast<Tile*>(this + 1); }
  };
  static_assert(sizeof(Shared) % 16 == 0);
};

struct Four {
  float value[4];
};

__device__ __forceinline__ Four load_four(const float* address) {
  const float4 four = *reinterpret_cast<const float4*>(address);
  return {{four.x, four.y, four.z, four.w}};
}
__device__ __forceinline__ void store_four(float* address, const Four& four) {
  *reinterpret_cast<float4*>(address) =
      make_float4(four.value[0], four.value[1], four.value[2], four.value[3]);
}

/// Starts the copy of a tile. `aligned`: 16 bytes at a time.
template <class Tiling>
__device__ inline void copy_fit_tile(const ClubFit<Tiling>& fit, bool aligned, int number,
                                     typename FitTiles<Tiling>::Tile& tile) {
  const PairView& pair = fit.pairs[fit.cut.pair_of(number)];
  const std::int64_t first = fit.cut.first_row(number);
  const int rows = fit.cut.rows_of(number);
  constexpr int packs_per_row = FitTiles<Tiling>::width / 4;
  for (int pack = static_cast<int>(threadIdx.x); pack < Tiling::rows * packs_per_row;
       pack += Tiling::threads) {
    const int row = pack / packs_per_row, column = pack % packs_per_row * 4;
    const bool valid = row < rows;
    const std::int64_t source = valid ? first + row : 0;
    const float *x = &pair.x(source, column), *y = &pair.y(source, column);
    if (aligned) {
      copy_async_16(&tile.x[row][column], x, valid);
      copy_async_16(&tile.y[row][column], y, valid);
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        copy_async_4(&tile.x[row][column + k], x + k, valid);
        copy_async_4(&tile.y[row][column + k], y + k, valid);
      }
    }
  }
}

/// The parameters' gradients that a thread sums: 4 x 4 products of a left operand (the gradients of a layer's
/// outputs) and a right one (its inputs), over a slice of a tile's rows, and the left one's own sum.
template <class Tiling>
struct FitProduct {
  using Tiles = FitTiles<Tiling>;
  bool input_layer;
  int half, left_column, right_column;
  float weight[4][4] = {};
  float bias[4] = {};

  __device__ FitProduct() {
    const int place = static_cast<int>(threadIdx.x) % 64;
    input_layer = place < 32;
    if (input_layer) {
      half = place / 16;
      left_column = half * Tiles::hidden + place / 8 % 2 * 4;
      right_column = place % 8 * 4;
    } else {
      half = place / 16 - 2;
      left_column = place / 2 % 8 * 4;
      right_column = half * Tiles::hidden + place % 2 * 4;
    }
  }

  __device__ __forceinline__ void add(const typename Tiles::Shared& shared,
                                      const typename Tiles::Tile& tile) {
    const float* left = input_layer ? &shared.d_hidden[0][left_column] : &shared.out[half][0][left_column];
    const float* right = input_layer ? &tile.x[0][right_column] : &shared.hidden[0][right_column];
    const int left_row = input_layer ? Tiles::hidden_row : Tiles::row;
    const int right_row = input_layer ? Tiles::row : Tiles::hidden_row;
    constexpr int rows = Tiles::slice_rows;
    const int first = static_cast<int>(threadIdx.x) / 64 * rows;
#pragma unroll 4
    for (int r = first; r < first + rows; ++r) {
      const Four l = load_four(left + r * left_row), i = load_four(right + r * right_row);
#pragma unroll
      for (int a = 0; a < 4; ++a) {
#pragma unroll
        for (int b = 0; b < 4; ++b) weight[a][b] = __fmaf_rn(l.value[a], i.value[b], weight[a][b]);
        bias[a] += l.value[a];
      }
    }
  }

  /// Writes the sums to their places among the gradients of all parameters.
  __device__ __forceinline__ void store(float* gradients) const {
    float* of_half = gradients + half * Tiles::half_size;
    const int row_of_half = left_column - (input_layer ? half * Tiles::hidden : 0);
    const int column_of_half = right_column - (input_layer ? 0 : half * Tiles::hidden);
    float* weights = of_half + (input_layer ? 0 : Tiles::w_out);
    float* biases = of_half + (input_layer ? Tiles::b_in : Tiles::b_out);
    const int columns = input_layer ? Tiles::width : Tiles::hidden;
#pragma unroll
    for (int a = 0; a < 4; ++a) {
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        weights[(row_of_half + a) * columns + column_of_half + b] = weight[a][b];
      }
      if (column_of_half == 0) biases[row_of_half + a] = bias[a];
    }
  }
};

/// One tile: adds to the gradients, returns this thread's part of twice the sum of -ll.
template <class Tiling>
__device__ inline float fit_tile(typename FitTiles<Tiling>::Shared& shared,
                                 const typename FitTiles<Tiling>::Tile& tile, int rows,
                                 FitProduct<Tiling>& product) {
  using Tiles = FitTiles<Tiling>;
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread % Tiling::rows, part = thread / Tiling::rows % 2;
  const int half = thread / (2 * Tiling::rows);
  const float* parameters = shared.parameters + half * Tiles::half_size;
  const int first_unit = half * Tiles::hidden + part * 4;
  {
    Four x[Tiles::width / 4], sum = load_four(parameters + Tiles::b_in + part * 4);
#pragma unroll
    for (int j = 0; j < Tiles::width / 4; ++j) x[j] = load_four(&tile.x[row][4 * j]);
#pragma unroll
    for (int unit = 0; unit < 4; ++unit) {
#pragma unroll
      for (int j = 0; j < Tiles::width / 4; ++j) {
        const Four w = load_four(parameters + (part * 4 + unit) * Tiles::width + 4 * j);
#pragma unroll
        for (int k = 0; k < 4; ++k) sum.value[unit] = __fmaf_rn(w.value[k], x[j].value[k], sum.value[unit]);
      }
      sum.value[unit] = sum.value[unit] < 0.0f ? 0.0f : sum.value[unit];
    }
    store_four(&shared.hidden[row][first_unit], sum);
  }
  __syncthreads();
  {
    const Four low = load_four(&shared.hidden[row][half * Tiles::hidden]);
    const Four high = load_four(&shared.hidden[row][half * Tiles::hidden + 4]);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int column = part * 16 + 4 * j;
      Four out = load_four(parameters + Tiles::b_out + column);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const float* w = parameters + Tiles::w_out + (column + k) * Tiles::hidden;
        const Four w_low = load_four(w), w_high = load_four(w + 4);
#pragma unroll
        for (int unit = 0; unit < 4; ++unit) {
          out.value[k] = __fmaf_rn(w_low.value[unit], low.value[unit], out.value[k]);
          out.value[k] = __fmaf_rn(w_high.value[unit], high.value[unit], out.value[k]);
        }
      }
      store_four(&shared.out[half][row][column], out);
    }
  }
  __syncthreads();
  float loss = 0.0f;
#pragma unroll
  for (int pack = thread; pack < Tiling::rows * Tiles::width / 4; pack += Tiling::threads) {
    const int r = pack / (Tiles::width / 4), column = pack % (Tiles::width / 4) * 4;
    Four mean = load_four(&shared.out[0][r][column]), log_variance = load_four(&shared.out[1][r][column]);
    const Four y = load_four(&tile.y[r][column]);
    const bool valid = r < rows;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const float part_of_loss = fit_feature(y.value[k], mean.value[k], log_variance.value[k]);
      loss += valid ? part_of_loss : 0.0f;
      mean.value[k] = valid ? mean.value[k] : 0.0f;
      log_variance.value[k] = valid ? log_variance.value[k] : 0.0f;
    }
    store_four(&shared.out[0][r][column], mean);
    store_four(&shared.out[1][r][column], log_variance);
  }
  __syncthreads();
  {
    Four sum = {};
#pragma unroll
    for (int j = 0; j < Tiles::width / 4; ++j) {
      const Four d_out = load_four(&shared.out[half][row][4 * j]);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const Four w = load_four(parameters + Tiles::w_out + (4 * j + k) * Tiles::hidden + part * 4);
#pragma unroll
        for (int unit = 0; unit < 4; ++unit) {
          sum.value[unit] = __fmaf_rn(w.value[unit], d_out.value[k], sum.value[unit]);
        }
      }
    }
    const Four hidden = load_four(&shared.hidden[row][first_unit]);
#pragma unroll
    for (int unit = 0; unit < 4; ++unit) {
      sum.value[unit] = hidden.value[unit] > 0.0f ? sum.value[unit] : 0.0f;
    }
    store_four(&shared.d_hidden[row][first_unit], sum);
  }
  __syncthreads();
  product.add(shared, tile);
  __syncthreads();
  return loss;
}

/// All steps. The block's tiles stay in shared memory if its `slots` hold them; else the last two slots take
/// the tiles that do not fit, one after the other, each copied while the one before it is worked on.
template <class Tiling>
__global__ void __launch_bounds__(Tiling::threads, 1)
    fit_tiles_kernel(ClubFit<Tiling> fit, bool aligned, int slots) {
  using Tiles = FitTiles<Tiling>;
  typename Tiles::Shared& shared = shared_memory<typename Tiles::Shared>();
  typename Tiles::Tile* tiles = shared.tiles();
  const int thread = static_cast<int>(threadIdx.x);
  const FitCut<Tiling>& cut = fit.cut;
  const int block = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  const int first_chunk = cut.first_chunk(block, blocks);
  const int end_chunk = cut.first_chunk(block + 1, blocks);
  const int first_tile = cut.first_tile(first_chunk);
  const int tile_count = cut.first_tile(end_chunk) - first_tile;
  const int resident = tile_count <= slots ? tile_count : slots - 2;
  const int streamed = tile_count - resident;
  int visits = 0;  // to streamed tiles

  const auto visits_in_all = static_cast<int>(fit.steps) * streamed;
  // Starts the copy for a visit to come; its slot is free.
  const auto prefetch = [&](int visit) {
    if (visit < visits_in_all) {
      copy_fit_tile(fit, aligned, first_tile + resident + visit % streamed, tiles[resident + visit % 2]);
    }
    copy_async_commit();
  };

  for (int k = 0; k < resident; ++k) copy_fit_tile(fit, aligned, first_tile + k, tiles[k]);
  copy_async_commit();
  prefetch(0);
  prefetch(1);
  for (int i = thread; i < Tiles::count; i += Tiling::threads) {
    shared.parameters[i] = fit.parameters[i];
    shared.first_moment[i] = fit.first_moment[i];
    shared.second_moment[i] = fit.second_moment[i];
  }
  copy_async_wait<2>();
  __syncthreads();

  for (std::int64_t step = 0; step < fit.steps; ++step) {
    const int buffer = static_cast<int>(step % 2);
    const int adam = static_cast<int>(step % Tiles::adam_steps);
    if (adam == 0 && thread < Tiles::adam_steps) shared.adam[thread] = fit.adam(step + thread);
    for (int chunk = first_chunk; chunk < end_chunk; ++chunk) {
      FitProduct<Tiling> product;
      double loss = 0.0;
      for (int number = cut.first_tile(chunk); number < cut.first_tile(chunk + 1); ++number) {
        const int k = number - first_tile;
        const bool stays = k < resident;
        if (!stays) {
          copy_async_wait<1>();
          __syncthreads();
        }
        const typename Tiles::Tile& tile = tiles[stays ? k : resident + visits % 2];
        loss += static_cast<double>(fit_tile(shared, tile, cut.rows_of(number), product));
        if (!stays) prefetch(visits++ + 2);
      }
      // The slices of the rows, side by side where the outputs were.
      float* slices = &shared.out[0][0][0];
      static_assert(Tiles::slices * Tiles::count <= sizeof(shared.out) / sizeof(float));
      product.store(slices + thread / 64 * Tiles::count);
      loss = block_sum<Tiling::threads>(loss, shared.warp_sums);
      if (thread == 0) fit.chunk_losses[buffer * cut.chunks + chunk] = loss;
      float* gradients = fit.gradients_of(buffer, chunk);
      for (int i = thread; i < Tiles::count; i += Tiling::threads) {
        float sum = slices[i];
#pragma unroll
        for (int slice = 1; slice < Tiles::slices; ++slice) sum += slices[i + slice * Tiles::count];
        gradients[i] = sum;
      }
    }
    // The next step writes the other buffer, and the one after it comes behind the next barrier: one is
    // enough.
    grid_sync();
    for (int i = thread; i < Tiles::count; i += Tiling::threads) {
      adam_update(shared.adam[adam], fit_gradient(fit, buffer, i), shared.parameters[i],
                  shared.first_moment[i], shared.second_moment[i]);
    }
    write_fit_loss(fit, buffer, step);
    __syncthreads();
  }
  if (block != 0) return;
  for (int i = thread; i < Tiles::count; i += Tiling::threads) {
    fit.parameters[i] = shared.parameters[i];
    fit.first_moment[i] = shared.first_moment[i];
    fit.second_moment[i] = shared.second_moment[i];
  }
}

/// The largest number of tiles that one of `blocks` blocks has.
template <class Tiling>
int most_tiles(const FitCut<Tiling>& cut, int blocks) {
  int most = 0;
  for (int block = 0; block < blocks; ++block) {
    most = std::max(most, cut.first_tile(cut.first_chunk(block + 1, blocks)) -
                              cut.first_tile(cut.first_chunk(block, blocks)));
  }
  return most;
}

/// `blocks` run at one time; each has at most `shared_bytes` of shared memory, which must hold two tiles
/// where a block has two.
template <class Tiling>
void start_fit_tiles(cudaStream_t stream, const char* name, const ClubFit<Tiling>& fit, bool aligned,
                     int blocks, std::size_t shared_bytes) {
  using Tiles = FitTiles<Tiling>;
  constexpr std::size_t every_block = sizeof(typename Tiles::Shared), of_tile = sizeof(typename Tiles::Tile);
  const int most = most_tiles(fit.cut, blocks);
  const std::size_t least = every_block + static_cast<std::size_t>(std::min(most, 2)) * of_tile;
  require(shared_bytes >= least, name, "a block of this device has too little shared memory for two tiles");
  const int slots = std::min(most, static_cast<int>((shared_bytes - every_block) / of_tile));
  const Grid grid{dim3(grid_size(blocks)), dim3(Tiling::threads),
                  every_block + static_cast<std::size_t>(slots) * of_tile, true};
  launch(stream, name, grid, &fit_tiles_kernel<Tiling>, fit, aligned, slots);
}

}  // namespace sea::cuda
