#include <algorithm>
#include <cstdint>

#include "common/candidates.cuh"
#include "common/context.cuh"
#include "common/elementwise.cuh"
#include "common/score_tile.cuh"
#include "sea/detail/attentive_score.hpp"
#include "sea/detail/checks/graphs.hpp"

// The items of largest score where the score is PAMD's attention over four parts.
//
// Floor: 2 x 5 q n w operations at the float32 rate (88 GFLOP for all users of Baby and 64 columns, 1.4 ms on
// an H200), and queries and keys once from memory. The five tiles of products, 1,024 x 1,024 each, lie in the
// second-level cache.
//
// For each panel of queries, for each tile of keys: five tiles of products (score_tile.cuh), then a warp a
// query, which makes the scores out of them and keeps the best k so far in the workspace. At the end of a
// panel a block per query writes each of those to the place that its rank says.

namespace sea {

namespace {

using cuda::Candidates;

constexpr const char* name = "rank_attentive";
constexpr int parts = 5;
constexpr std::int64_t largest_panel = 1024;
constexpr std::int64_t largest_tile = 1024;
constexpr std::int64_t most_values = std::int64_t{1} << 22;  ///< of any array whose length grows with k
constexpr int select_threads = 128;
constexpr int rank_threads = 128;

/// Sizes that depend on the shape alone.
struct Plan {
  std::int64_t capacity;    ///< values of each of a row's two candidate arrays
  std::int64_t panel_rows;  ///< queries
  std::int64_t tile_keys;   ///< a multiple of 128

  Plan(std::int64_t queries, std::int64_t keys, std::int64_t k)
      : capacity(Candidates::capacity(k)),
        panel_rows(std::clamp<std::int64_t>(std::min(queries, most_values / capacity), 1, largest_panel)),
        tile_keys(cuda::blocks_of(std::min(keys, largest_tile), cuda::ScoreTile::columns) *
                  cuda::ScoreTile::columns) {}
  std::int64_t tile_size() const { return panel_rows * tile_keys; }
};

struct RowState {
  Candidates::State candidates;
  std::int64_t next_excluded;  ///< position in `column_indices`
};

/// The operator's arguments and its scratch memory.
struct Search {
  std::int64_t k;
  CsrPatternView excluded;
  std::int32_t* ids;
  float* scores;
  std::int64_t capacity, tile_keys, tile_size;

  float* tiles = nullptr;  ///< one behind the other
  RowState* states = nullptr;
  float* candidate_scores = nullptr;
  std::int32_t* candidate_ids = nullptr;

  __device__ Candidates candidates(std::int64_t i, const Candidates::State& state) const {
    return {candidate_scores + i * capacity, candidate_ids + i * capacity, static_cast<int>(k), state};
  }
};

/// A warp per query of the panel that starts at `first_row`.
__global__ void __launch_bounds__(select_threads)
    rank_attentive_select_kernel(Search search, std::int64_t first_row, std::int64_t rows,
                                 std::int64_t first_key, int keys) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * (select_threads / 32) + threadIdx.x / 32;
  if (i >= rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t row = first_row + i;
  const bool any_excluded = search.excluded.row_offsets != nullptr;
  RowState state = first_key == 0
                       ? RowState{Candidates::empty(), any_excluded ? search.excluded.row_offsets[row] : 0}
                       : search.states[i];
  float* const scores = search.tiles + i * search.tile_keys;
  for (int j = lane; j < keys; j += 32) {
    const float* const products = scores + j;
    scores[j] =
        detail::attentive_score(products[0], products[search.tile_size], products[2 * search.tile_size],
                                products[3 * search.tile_size], products[4 * search.tile_size]);
  }
  __syncwarp();
  const std::int64_t excluded_end = any_excluded ? search.excluded.row_offsets[row + 1] : 0;
  while (state.next_excluded < excluded_end) {
    const std::int64_t at = state.next_excluded + lane;
    const std::int64_t key = at < excluded_end ? search.excluded.column_indices[at] - first_key : keys;
    if (key < keys) scores[key] = Candidates::no_score();
    const int inside = __popc(__ballot_sync(cuda::full_warp, key < keys));
    state.next_excluded += inside;
    if (inside < 32) break;
  }
  __syncwarp();
  Candidates candidates = search.candidates(i, state.candidates);
  candidates.add(scores, keys, static_cast<std::int32_t>(first_key));
  state.candidates = candidates.state();
  __syncwarp();  // all have read the state
  if (lane == 0) search.states[i] = state;
}

struct RankShared {
  int count;
};

/// A block per query.
__global__ void __launch_bounds__(rank_threads)
    rank_attentive_rank_kernel(Search search, std::int64_t first_row) {
  auto& shared = cuda::shared_memory<RankShared>();
  const std::int64_t i = blockIdx.x, row = first_row + i, k = search.k;
  const float* const scores = search.candidate_scores + i * search.capacity;
  const std::int32_t* const ids = search.candidate_ids + i * search.capacity;
  if (threadIdx.x < 32) {
    Candidates candidates = search.candidates(i, search.states[i].candidates);
    candidates.finish();
    if (threadIdx.x == 0) shared.count = candidates.state().count;
  }
  __syncthreads();
  const int count = shared.count;
  for (int c = static_cast<int>(threadIdx.x); c < count; c += rank_threads) {
    std::int64_t rank = 0;
    for (int other = 0; other < count; ++other) {
      rank += scores[other] > scores[c] || (scores[other] == scores[c] && ids[other] < ids[c]) ? 1 : 0;
    }
    search.ids[row * k + rank] = ids[c];
    search.scores[row * k + rank] = scores[c];
  }
  for (std::int64_t j = count + static_cast<std::int64_t>(threadIdx.x); j < k; j += rank_threads) {
    search.ids[row * k + j] = -1;
    search.scores[row * k + j] = Candidates::no_score();
  }
}

}  // namespace

std::size_t CudaBackend::rank_attentive_workspace(std::int64_t queries, std::int64_t keys, std::int64_t,
                                                  std::int64_t k) const {
  const Plan plan(queries, keys, k);
  return cuda::scratch_bytes<float>(parts * plan.tile_size()) +
         cuda::scratch_bytes<RowState>(plan.panel_rows) +
         cuda::scratch_bytes<float>(plan.panel_rows * plan.capacity) +
         cuda::scratch_bytes<std::int32_t>(plan.panel_rows * plan.capacity);
}

void CudaBackend::rank_attentive(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                                 const CsrPatternView& excluded, IndexView ids, VectorView scores,
                                 Workspace workspace) {
  const std::int64_t width = queries.columns;
  checks::rank_attentive(queries, keys, k, excluded, ids, scores);
  const Plan plan(queries.rows, keys.rows, k);
  cuda::Scratch scratch(name, workspace);
  Search search{k, excluded, ids.data(), scores.data(), plan.capacity, plan.tile_keys, plan.tile_size()};
  search.tiles = scratch.take<float>(parts * plan.tile_size());
  search.states = scratch.take<RowState>(plan.panel_rows);
  search.candidate_scores = scratch.take<float>(plan.panel_rows * plan.capacity);
  search.candidate_ids = scratch.take<std::int32_t>(plan.panel_rows * plan.capacity);

  const cudaStream_t stream = context_->stream;
  const bool aligned = width % 4 == 0 && cuda::rows_aligned(queries) && cuda::rows_aligned(keys);
  const auto tile_kernel = aligned ? &cuda::score_tile_kernel<4> : &cuda::score_tile_kernel<1>;
  for (std::int64_t row = 0; row < queries.rows; row += plan.panel_rows) {
    const std::int64_t rows = std::min(plan.panel_rows, queries.rows - row);
    for (std::int64_t key = 0; key < keys.rows; key += plan.tile_keys) {
      const std::int64_t count = std::min(plan.tile_keys, keys.rows - key);
      const dim3 blocks(cuda::grid_size(cuda::blocks_of(count, cuda::ScoreTile::columns)),
                        cuda::grid_size(cuda::blocks_of(rows, cuda::ScoreTile::rows)));
      for (int part = 0; part < parts; ++part) {
        const MatrixView tile(search.tiles + part * plan.tile_size(), plan.panel_rows, plan.tile_keys);
        cuda::launch(stream, name, {blocks, dim3(cuda::ScoreTile::threads), sizeof(cuda::ScoreTile::Shared)},
                     tile_kernel, queries.row_range(row, rows),
                     keys.row_range(key, count).column_range(part * width, width), tile);
      }
      cuda::launch(stream, name,
                   {dim3(cuda::grid_size(cuda::blocks_of(rows, select_threads / 32))), dim3(select_threads)},
                   &rank_attentive_select_kernel, search, row, rows, key, static_cast<int>(count));
    }
    cuda::launch(stream, name, {dim3(cuda::grid_size(rows)), dim3(rank_threads), sizeof(RankShared)},
                 &rank_attentive_rank_kernel, search, row);
  }
}

}  // namespace sea
