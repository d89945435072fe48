#include <algorithm>
#include <cstdint>
#include <memory>

#include "cpu/candidates.hpp"
#include "cpu/check.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "cpu/tile_product.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/attentive_score.hpp"
#include "sea/detail/checks/graphs.hpp"

// Five tiles of products, the score out of them, and a row's best so far. Each product's sum runs over the
// columns in ascending order whatever the tile, and tiles are whole vectors: no number of queries or threads
// changes a bit.

namespace sea {

namespace {

constexpr const char* name = "rank_attentive";
constexpr std::int64_t parts = 5;
constexpr std::int64_t block_rows = 32;
constexpr std::int64_t tile_keys = 256;

/// A query on its way through the tiles.
struct Row {
  cpu::Candidates candidates;
  std::int64_t next_excluded;  ///< position in `column_indices`
};

struct Ranked {
  float score;
  std::int32_t id;
};

/// What one thread works in.
struct Slot {
  float* keys;   ///< a tile's keys of one part, a column of the part in a row
  float* tiles;  ///< parts x block_rows x tile_keys
  float* candidate_scores;
  std::int32_t* candidate_ids;
  Row* rows;
  Ranked* ranked;

  static std::size_t bytes(std::int64_t width, std::int64_t k) {
    const std::int64_t capacity = cpu::Candidates::capacity(k);
    return cpu::scratch_bytes<float>(width * tile_keys) +
           cpu::scratch_bytes<float>(parts * block_rows * tile_keys) +
           cpu::scratch_bytes<float>(block_rows * capacity) +
           cpu::scratch_bytes<std::int32_t>(block_rows * capacity) + cpu::scratch_bytes<Row>(block_rows) +
           cpu::scratch_bytes<Ranked>(k);
  }
  Slot(cpu::Scratch scratch, std::int64_t width, std::int64_t k)
      : keys(scratch.take<float>(width * tile_keys)),
        tiles(scratch.take<float>(parts * block_rows * tile_keys)),
        candidate_scores(scratch.take<float>(block_rows * cpu::Candidates::capacity(k))),
        candidate_ids(scratch.take<std::int32_t>(block_rows * cpu::Candidates::capacity(k))),
        rows(scratch.take<Row>(block_rows)),
        ranked(scratch.take<Ranked>(k)) {}
};

/// Keys [first, first + count) of one part, transposed; zeros fill the tile.
void transpose_keys(ConstMatrixView keys, std::int64_t first, std::int64_t count, float* to) {
  for (std::int64_t j = 0; j < keys.columns; ++j)
    std::fill(to + j * tile_keys + count, to + (j + 1) * tile_keys, 0.0f);
  for (std::int64_t key = 0; key < count; ++key) {
    const float* row = keys.row(first + key);
    for (std::int64_t j = 0; j < keys.columns; ++j) to[j * tile_keys + key] = row[j];
  }
}

struct Search {
  ConstMatrixView queries, keys;
  std::int64_t k;
  const CsrPatternView& excluded;
  IndexView ids;
  VectorView scores;

  void search_block(std::int64_t first, std::int64_t rows, const Slot& slot) const {
    const std::int64_t width = queries.columns, capacity = cpu::Candidates::capacity(k);
    for (std::int64_t i = 0; i < rows; ++i) {
      if (excluded.row_offsets != nullptr)
        cpu::require_ascending_row("rank_attentive", "excluded", excluded, first + i);
      std::construct_at(slot.rows + i,
                        Row{{slot.candidate_scores + i * capacity, slot.candidate_ids + i * capacity, k},
                            excluded.row_offsets == nullptr ? 0 : excluded.row_offsets[first + i]});
    }
    constexpr std::int64_t part_size = block_rows * tile_keys;
    for (std::int64_t first_key = 0; first_key < keys.rows; first_key += tile_keys) {
      const std::int64_t count = std::min(tile_keys, keys.rows - first_key);
      for (std::int64_t part = 0; part < parts; ++part) {
        transpose_keys(keys.column_range(part * width, width), first_key, count, slot.keys);
        cpu::tile_product(rows, tile_keys, width, {queries.row(first), queries.leading_dimension, 1},
                          slot.keys, tile_keys, false, slot.tiles + part * part_size, tile_keys);
      }
      for (std::int64_t i = 0; i < rows; ++i) {
        float* row = slot.tiles + i * tile_keys;
#pragma omp simd
        for (std::int64_t j = 0; j < tile_keys; ++j) {
          row[j] = detail::attentive_score(row[j], row[j + part_size], row[j + 2 * part_size],
                                           row[j + 3 * part_size], row[j + 4 * part_size]);
        }
        exclude(first + i, first_key, count, slot.rows[i].next_excluded, row);
        slot.rows[i].candidates.add(row, count, static_cast<std::int32_t>(first_key));
      }
    }
    for (std::int64_t i = 0; i < rows; ++i) store(first + i, i, slot);
  }

  void exclude(std::int64_t row, std::int64_t first_key, std::int64_t count, std::int64_t& next,
               float* row_scores) const {
    if (excluded.row_offsets == nullptr) return;
    for (const std::int64_t end = excluded.row_offsets[row + 1]; next < end; ++next) {
      const std::int64_t key = excluded.column_indices[next] - first_key;
      if (key >= count) return;
      row_scores[key] = cpu::Candidates::no_score;
    }
  }

  void store(std::int64_t row, std::int64_t i, const Slot& slot) const {
    cpu::Candidates& candidates = slot.rows[i].candidates;
    candidates.finish();
    const std::int64_t count = candidates.count();
    const float* candidate_scores = slot.candidate_scores + i * cpu::Candidates::capacity(k);
    for (std::int64_t c = 0; c < count; ++c) slot.ranked[c] = {candidate_scores[c], candidates.id(c)};
    std::sort(slot.ranked, slot.ranked + count, [](const Ranked& a, const Ranked& b) {
      return a.score > b.score || (a.score == b.score && a.id < b.id);
    });
    for (std::int64_t j = 0; j < k; ++j) {
      ids[row * k + j] = j < count ? slot.ranked[j].id : -1;
      scores[row * k + j] = j < count ? slot.ranked[j].score : cpu::Candidates::no_score;
    }
  }
};

}  // namespace

std::size_t CpuBackend::rank_attentive_workspace(std::int64_t, std::int64_t, std::int64_t width,
                                                 std::int64_t k) const {
  return static_cast<std::size_t>(pool_->threads()) * Slot::bytes(width, k);
}

void CpuBackend::rank_attentive(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                                const CsrPatternView& excluded, IndexView ids, VectorView scores,
                                Workspace workspace) {
  const std::int64_t width = queries.columns;
  checks::rank_attentive(queries, keys, k, excluded, ids, scores);
  const std::size_t slot_bytes = Slot::bytes(width, k);
  std::byte* const slots = reinterpret_cast<std::byte*>(
      cpu::Scratch(name, workspace).take<char>(static_cast<std::int64_t>(slot_bytes) * pool_->threads()));
  const Search search{queries, keys, k, excluded, ids, scores};
  pool_->parallel_for(cpu::blocks_of(queries.rows, block_rows), [&](std::int64_t block, int number) {
    const Slot slot(cpu::Scratch(name, {slots + static_cast<std::size_t>(number) * slot_bytes, slot_bytes}),
                    width, k);
    const std::int64_t first = block * block_rows;
    search.search_block(first, std::min(block_rows, queries.rows - first), slot);
  });
}

}  // namespace sea
