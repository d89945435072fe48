#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "common/candidates.cuh"
#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/score_tile.cuh"
#include "sea/detail/checks/graphs.hpp"

// Float products find candidates, double precision decides; host/cpu/topk_dot.cpp has the argument and the
// bound, which are the same here.
//
// Floor: 2 q n w operations at the float32 rate (35 GFLOP for all users of Baby, 0.6 ms on an H200), and
// queries and keys once from memory. The tile of scores, 2,048 x 2,048, is written and read in the
// second-level cache: 8 bytes per element for 2 w operations.
//
// 1. The largest norm of a key.
// 2. For each panel of queries, for each tile of keys: the tile of products (score_tile.cuh), then a warp a
//    query, which keeps the best k + 16 so far in the workspace.
// 3. At the end of a panel, a block per query scores the candidates again in double precision, eight at a
// time
//    in each warp, and writes each to the place that its rank says. Ranks are counted, one comparison for
//    each pair: candidates are few. Rows that this does not settle are noted.
// 4. Those rows are done again over all keys. How many there are, the device alone knows: a fixed number of
//    blocks share them.

namespace sea {

namespace {

using cuda::Candidates;

constexpr std::int64_t margin = 16;
constexpr std::int64_t largest_panel = 2048;
constexpr std::int64_t largest_tile = 2048;
constexpr std::int64_t most_values = std::int64_t{1} << 22;  ///< of any array whose length grows with k
constexpr int select_threads = 128;
constexpr int rank_threads = 128;
constexpr int rank_keys = 8;  ///< that a warp scores together
constexpr int exact_threads = 256;
constexpr int exact_keys = 16;
constexpr int exact_chunk = exact_threads / 32 * exact_keys;  ///< keys that a block scores together

/// Sizes that depend on the shape and the device alone.
struct Plan {
  std::int64_t wanted;          ///< candidates per row
  std::int64_t capacity;        ///< values of each of a row's two candidate arrays
  std::int64_t panel_rows;      ///< queries
  std::int64_t tile_keys;       ///< a multiple of 128
  std::int64_t exact_capacity;  ///< keys that a block of the exact rows holds at one time
  std::int64_t exact_blocks;

  Plan(std::int64_t queries, std::int64_t keys, std::int64_t k, int multiprocessors)
      : wanted(std::min(k + margin, keys)),
        capacity(Candidates::capacity(wanted)),
        panel_rows(std::clamp<std::int64_t>(std::min(queries, most_values / capacity), 1, largest_panel)),
        tile_keys(cuda::blocks_of(std::min(keys, largest_tile), cuda::ScoreTile::columns) *
                  cuda::ScoreTile::columns),
        exact_capacity(2 * k + exact_chunk),
        exact_blocks(std::clamp<std::int64_t>(std::min(queries, most_values / exact_capacity), 1,
                                              2 * std::int64_t{multiprocessors})) {}
};

/// What the device finds out about the whole call.
struct Found {
  unsigned long long largest_key_square;  ///< bits of a double; as integers, they have the same order
  int unsettled;                          ///< rows
};

struct RowState {
  Candidates::State candidates;
  std::int64_t next_excluded;  ///< position in `column_indices`
};

/// The operator's arguments and its scratch memory.
struct Search {
  ConstMatrixView queries, keys;
  std::int64_t k;
  CsrPatternView excluded;
  std::int32_t* ids;
  float* scores;
  std::int64_t wanted, capacity, exact_capacity;

  Found* found = nullptr;
  std::int32_t* unsettled_rows = nullptr;
  MatrixView tile = {};
  RowState* states = nullptr;
  float* candidate_scores = nullptr;
  std::int32_t* candidate_ids = nullptr;
  double* candidate_exact = nullptr;  ///< scores in double precision
  double* exact_scores = nullptr;     ///< two times `exact_capacity` a block
  std::int32_t* exact_ids = nullptr;

  __device__ std::int64_t excluded_begin(std::int64_t row) const {
    return excluded.row_offsets == nullptr ? 0 : excluded.row_offsets[row];
  }
  __device__ std::int64_t excluded_end(std::int64_t row) const {
    return excluded.row_offsets == nullptr ? 0 : excluded.row_offsets[row + 1];
  }
  __device__ bool is_excluded(std::int64_t row, std::int32_t key) const {
    std::int64_t low = excluded_begin(row), high = excluded_end(row);
    const std::int64_t end = high;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      if (excluded.column_indices[middle] < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < end && excluded.column_indices[low] == key;
  }

  /// Writes the places [taken, k) of a row, which no key has. By all threads of a block.
  __device__ void fill_rest(std::int64_t row, std::int64_t taken, int threads) const {
    for (std::int64_t j = taken + threadIdx.x; j < k; j += threads) {
      ids[row * k + j] = -1;
      scores[row * k + j] = Candidates::no_score();
    }
  }
};

__device__ int lane_of_thread() {
  return static_cast<int>(threadIdx.x) % 32;
}

/// Dot products of a query with `count` keys at `row(0)`, `row(1)`, ..., each in the order of fixed_dot.hpp.
/// Lane l gets that of key l / (32 / count). The lanes' partial sums are exchanged and added for all keys at
/// once: a lane keeps those of half the keys and gives away the others.
template <int count, class Row>
__device__ double warp_fixed_dots(const float* query, std::int64_t width, const Row& row) {
  const int lane = lane_of_thread();
  double sums[count] = {};
  for (std::int64_t j = lane; j < width; j += 32) {
    const double value = query[j];
#pragma unroll
    for (int i = 0; i < count; ++i) sums[i] = __fma_rn(value, static_cast<double>(row(i)[j]), sums[i]);
  }
  int kept = count;
#pragma unroll
  for (int half = 16; half > 0; half /= 2) {
    if (kept > 1) {
      kept /= 2;
      const bool upper = (lane & half) != 0;
#pragma unroll
      for (int i = 0; i < count / 2; ++i) {
        if (i >= kept) break;
        const double mine = upper ? sums[i + kept] : sums[i], theirs = upper ? sums[i] : sums[i + kept];
        sums[i] = mine + __shfl_xor_sync(cuda::full_warp, theirs, half);
      }
    } else {
      sums[0] += __shfl_xor_sync(cuda::full_warp, sums[0], half);
    }
  }
  return sums[0];
}

/// How many of `count` keys with double scores are better than (score, id).
__device__ std::int64_t rank_of(double score, std::int32_t id, const double* scores, const std::int32_t* ids,
                                std::int64_t count) {
  std::int64_t rank = 0;
  for (std::int64_t c = 0; c < count; ++c) {
    rank += scores[c] > score || (scores[c] == score && ids[c] < id) ? 1 : 0;
  }
  return rank;
}

__global__ void __launch_bounds__(exact_threads) topk_dot_norm_kernel(ConstMatrixView keys, Found* found) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (exact_threads / 32) + threadIdx.x / 32;
  double most = 0.0;
  for (std::int64_t key = first; key < keys.rows; key += std::int64_t{gridDim.x} * (exact_threads / 32)) {
    const float* row = keys.row(key);
    const double square = warp_fixed_dots<1>(row, keys.columns, [row](int) { return row; });
    if (square > most) most = square;
  }
  if (lane_of_thread() == 0) {
    atomicMax(&found->largest_key_square, static_cast<unsigned long long>(__double_as_longlong(most)));
  }
}

/// A warp per query of the panel that starts at `first_row`: takes what matters of the tile's `keys` scores.
__global__ void __launch_bounds__(select_threads)
    topk_dot_select_kernel(Search search, std::int64_t first_row, std::int64_t rows, std::int64_t first_key,
                           int keys) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * (select_threads / 32) + threadIdx.x / 32;
  if (i >= rows) return;
  const int lane = lane_of_thread();
  const bool is_first = first_key == 0;
  RowState state =
      is_first ? RowState{Candidates::empty(), search.excluded_begin(first_row + i)} : search.states[i];
  float* scores = search.tile.row(i);
  const std::int64_t excluded_end = search.excluded_end(first_row + i);
  while (state.next_excluded < excluded_end) {
    const std::int64_t at = state.next_excluded + lane;
    const std::int64_t key = at < excluded_end ? search.excluded.column_indices[at] - first_key : keys;
    if (key < keys) scores[key] = Candidates::no_score();
    const int inside = __popc(__ballot_sync(cuda::full_warp, key < keys));
    state.next_excluded += inside;
    if (inside < 32) break;
  }
  __syncwarp();
  Candidates candidates(search.candidate_scores + i * search.capacity,
                        search.candidate_ids + i * search.capacity, static_cast<int>(search.wanted),
                        state.candidates);
  candidates.add(scores, keys, static_cast<std::int32_t>(first_key));
  state.candidates = candidates.state();
  __syncwarp();  // all have read the state
  if (lane == 0) search.states[i] = state;
}

struct RankShared {
  double norms;  ///< the query's times the largest key's
  double last;   ///< the k-th score
  Candidates::State candidates;
};

/// A block per query: ranks the candidates in double precision.
__global__ void __launch_bounds__(rank_threads) topk_dot_rank_kernel(Search search, std::int64_t first_row) {
  auto& shared = cuda::shared_memory<RankShared>();
  const std::int64_t i = blockIdx.x, row = first_row + i, k = search.k, width = search.queries.columns;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const float* query = search.queries.row(row);
  float* float_scores = search.candidate_scores + i * search.capacity;
  std::int32_t* ids = search.candidate_ids + i * search.capacity;
  double* exact = search.candidate_exact + i * search.wanted;
  if (warp == 0) {
    Candidates candidates(float_scores, ids, static_cast<int>(search.wanted), search.states[i].candidates);
    candidates.finish();
    const double square = warp_fixed_dots<1>(query, width, [query](int) { return query; });
    if (threadIdx.x == 0) {
      const double largest = __longlong_as_double(static_cast<long long>(search.found->largest_key_square));
      shared.norms = sqrt(square) * sqrt(largest);
      shared.last = 0.0;
      shared.candidates = candidates.state();
    }
  }
  __syncthreads();
  const double norms = shared.norms;
  const int count = shared.candidates.count;
  // Beyond this a float product may overflow; the comparison is false for a norm that is not a number.
  bool settled = norms < 1e37;
  if (settled) {
    for (int first = warp * rank_keys; first < count; first += rank_threads / 32 * rank_keys) {
      const double score = warp_fixed_dots<rank_keys>(
          query, width, [&](int key) { return search.keys.row(ids[min(first + key, count - 1)]); });
      const int c = first + lane_of_thread() / (32 / rank_keys);
      if (lane_of_thread() % (32 / rank_keys) == 0 && c < count) exact[c] = score;
    }
    __syncthreads();
    for (int c = static_cast<int>(threadIdx.x); c < count; c += rank_threads) {
      const std::int64_t rank = rank_of(exact[c], ids[c], exact, ids, count);
      if (rank >= k) continue;
      search.ids[row * k + rank] = ids[c];
      search.scores[row * k + rank] = static_cast<float>(exact[c]);
      if (rank == k - 1) shared.last = exact[c];
    }
    search.fill_rest(row, min(k, static_cast<std::int64_t>(count)), rank_threads);
    __syncthreads();
    const float threshold = shared.candidates.threshold;
    if (threshold != Candidates::no_score() && norms > 0.0) {
      const double error = 1.01 * static_cast<double>(width) * (0x1.0p-24 * norms + 0x1.0p-126);
      settled = shared.last > static_cast<double>(threshold) + error;
    }
  }
  if (!settled && threadIdx.x == 0) {
    search.unsettled_rows[atomicAdd(&search.found->unsettled, 1)] = static_cast<std::int32_t>(row);
  }
}

struct ExactShared {
  int count;
  double threshold;
};

/// Blocks share the rows that were not settled: every key that is not excluded is ranked.
__global__ void __launch_bounds__(exact_threads, 2) topk_dot_exact_kernel(Search search) {
  auto& shared = cuda::shared_memory<ExactShared>();
  const std::int64_t k = search.k, keys = search.keys.rows;
  const int lane = lane_of_thread(), warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t space = blockIdx.x * 2 * search.exact_capacity;
  double* scores = search.exact_scores + space;
  double* other_scores = scores + search.exact_capacity;
  std::int32_t* ids = search.exact_ids + space;
  std::int32_t* other_ids = ids + search.exact_capacity;
  const int unsettled = search.found->unsettled;
  for (int r = static_cast<int>(blockIdx.x); r < unsettled; r += static_cast<int>(gridDim.x)) {
    const std::int64_t row = search.unsettled_rows[r];
    const float* query = search.queries.row(row);
    if (threadIdx.x == 0) {
      shared.count = 0;
      shared.threshold = -std::numeric_limits<double>::infinity();
    }
    __syncthreads();
    for (std::int64_t base = 0; base < keys; base += exact_chunk) {
      const std::int64_t first = base + warp * exact_keys;
      const double score = warp_fixed_dots<exact_keys>(
          query, search.keys.columns, [&](int key) { return search.keys.row(min(first + key, keys - 1)); });
      const std::int64_t key = first + lane / (32 / exact_keys);
      const auto id = static_cast<std::int32_t>(key);
      if (lane % (32 / exact_keys) == 0 && key < keys && score > shared.threshold &&
          !search.is_excluded(row, id)) {
        const int at = atomicAdd(&shared.count, 1);
        scores[at] = score;
        ids[at] = id;
      }
      __syncthreads();
      const std::int64_t count = shared.count;
      __syncthreads();
      if (count <= search.exact_capacity - exact_chunk) continue;
      // No key to come can beat one of equal score: its number is higher.
      for (std::int64_t c = threadIdx.x; c < count; c += exact_threads) {
        const std::int64_t rank = rank_of(scores[c], ids[c], scores, ids, count);
        if (rank >= k) continue;
        other_scores[rank] = scores[c];
        other_ids[rank] = ids[c];
        if (rank == k - 1) shared.threshold = scores[c];
      }
      if (threadIdx.x == 0) shared.count = static_cast<int>(k);
      __syncthreads();
      double* const swapped_scores = scores;
      scores = other_scores;
      other_scores = swapped_scores;
      std::int32_t* const swapped_ids = ids;
      ids = other_ids;
      other_ids = swapped_ids;
    }
    const std::int64_t count = shared.count;
    for (std::int64_t c = threadIdx.x; c < count; c += exact_threads) {
      const std::int64_t rank = rank_of(scores[c], ids[c], scores, ids, count);
      if (rank >= k) continue;
      search.ids[row * k + rank] = ids[c];
      search.scores[row * k + rank] = static_cast<float>(scores[c]);
    }
    search.fill_rest(row, min(k, count), exact_threads);
    __syncthreads();
  }
}

}  // namespace

std::size_t CudaBackend::topk_dot_workspace(std::int64_t queries, std::int64_t keys, std::int64_t,
                                            std::int64_t k) const {
  const Plan plan(queries, keys, k, context_->multiprocessors);
  const std::int64_t candidates = plan.panel_rows * plan.capacity;
  const std::int64_t exact = 2 * plan.exact_blocks * plan.exact_capacity;
  return cuda::scratch_bytes<Found>(1) + cuda::scratch_bytes<std::int32_t>(queries) +
         cuda::scratch_bytes<float>(plan.panel_rows * plan.tile_keys) +
         cuda::scratch_bytes<RowState>(plan.panel_rows) + cuda::scratch_bytes<float>(candidates) +
         cuda::scratch_bytes<std::int32_t>(candidates) +
         cuda::scratch_bytes<double>(plan.panel_rows * plan.wanted) + cuda::scratch_bytes<double>(exact) +
         cuda::scratch_bytes<std::int32_t>(exact);
}

void CudaBackend::topk_dot(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                           const CsrPatternView& excluded, IndexView ids, VectorView scores,
                           Workspace workspace) {
  const char* name = "topk_dot";
  checks::topk_dot(queries, keys, k, excluded, ids, scores);
  const Plan plan(queries.rows, keys.rows, k, context_->multiprocessors);
  const std::int64_t candidates = plan.panel_rows * plan.capacity;
  const std::int64_t exact = 2 * plan.exact_blocks * plan.exact_capacity;
  cuda::Scratch scratch(name, workspace);
  Search search{
      queries, keys, k, excluded, ids.data(), scores.data(), plan.wanted, plan.capacity, plan.exact_capacity};
  search.found = scratch.take<Found>(1);
  search.unsettled_rows = scratch.take<std::int32_t>(queries.rows);
  search.tile =
      MatrixView(scratch.take<float>(plan.panel_rows * plan.tile_keys), plan.panel_rows, plan.tile_keys);
  search.states = scratch.take<RowState>(plan.panel_rows);
  search.candidate_scores = scratch.take<float>(candidates);
  search.candidate_ids = scratch.take<std::int32_t>(candidates);
  search.candidate_exact = scratch.take<double>(plan.panel_rows * plan.wanted);
  search.exact_scores = scratch.take<double>(exact);
  search.exact_ids = scratch.take<std::int32_t>(exact);

  const cudaStream_t stream = context_->stream;
  const auto start = [&](std::int64_t blocks, int threads, std::size_t shared, auto kernel,
                         const auto&... arguments) {
    cuda::launch(stream, name, {dim3(cuda::grid_size(blocks)), dim3(static_cast<unsigned>(threads)), shared},
                 kernel, arguments...);
  };
  const bool aligned = queries.columns % 4 == 0 && cuda::rows_aligned(queries) && cuda::rows_aligned(keys);
  const auto tile_kernel = aligned ? &cuda::score_tile_kernel<4> : &cuda::score_tile_kernel<1>;
  cuda::check(cudaMemsetAsync(search.found, 0, sizeof(Found), stream), name, "clearing");
  start(std::min<std::int64_t>(cuda::blocks_of(keys.rows, exact_threads / 32),
                               4 * std::int64_t{context_->multiprocessors}),
        exact_threads, 0, &topk_dot_norm_kernel, keys, search.found);
  for (std::int64_t row = 0; row < queries.rows; row += plan.panel_rows) {
    const std::int64_t rows = std::min(plan.panel_rows, queries.rows - row);
    for (std::int64_t key = 0; key < keys.rows; key += plan.tile_keys) {
      const std::int64_t count = std::min(plan.tile_keys, keys.rows - key);
      const dim3 blocks(cuda::grid_size(cuda::blocks_of(count, cuda::ScoreTile::columns)),
                        cuda::grid_size(cuda::blocks_of(rows, cuda::ScoreTile::rows)));
      cuda::launch(stream, name, {blocks, dim3(cuda::ScoreTile::threads), sizeof(cuda::ScoreTile::Shared)},
                   tile_kernel, queries.row_range(row, rows), keys.row_range(key, count), search.tile);
      start(cuda::blocks_of(rows, select_threads / 32), select_threads, 0, &topk_dot_select_kernel, search,
            row, rows, key, static_cast<int>(count));
    }
    start(rows, rank_threads, sizeof(RankShared), &topk_dot_rank_kernel, search, row);
  }
  start(plan.exact_blocks, exact_threads, sizeof(ExactShared), &topk_dot_exact_kernel, search);
}

}  // namespace sea
