#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>

#include "cpu/candidates.hpp"
#include "cpu/check.hpp"
#include "cpu/gemm.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/graphs.hpp"
#include "sea/fixed_dot.hpp"

// Float products find candidates, double precision decides. A row's k + margin keys of largest float product
// are scored again by fixed_dot and ordered by (score, lower id). That is the answer if no other key could
// belong to it: each of those has a float product of at most the smallest candidate's, and so a score of at
// most that plus the product's error. Where the k-th score is not above this bound, all keys are scored
// again.
//
// The bound. Whatever the order of summation, and whether or not multiply-adds are fused, a float dot product
// of width w differs from the exact one by at most w u / (1 - w u) * sum |q_j key_j|, u = 2^-24 (Higham,
// Accuracy and Stability of Numerical Algorithms, section 3.1), and sum |q_j key_j| <= ||q|| ||key||.
// Products that underflow add at most w * 2^-126. The double sum's own error, under (w / 32 + 6) * 2^-53 of
// the same product of norms, is far below the 1 % that is added to the whole. For unit rows of width 4096 the
// bound is 2.5e-4, the k-th and the (k + 16)-th cosine of real features differ by ten times that: exact rows
// are rare. A query of norm 0 has scores of exactly 0 in both precisions, and a bound of 0.
//
// Scores that are not numbers are never taken: a key with such a score is as if it were excluded.

namespace sea {

namespace {

constexpr std::int64_t margin = 16;
constexpr std::int64_t tile_keys = 512;
constexpr std::int64_t norm_block = 256;

/// A key with its score in double precision.
struct Ranked {
  double score;
  std::int32_t id;
};

bool better(const Ranked& a, const Ranked& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

/// The candidates by their exact scores, best first. Their ids ascend, so that the former of two equals is
/// the better one.
void rank_candidates(const cpu::Candidates& candidates, const double* exact, Ranked* ranked) {
  const std::int64_t count = candidates.count();
  constexpr std::int64_t few = 256;
  if (count > few) {
    for (std::int64_t c = 0; c < count; ++c) ranked[c] = {exact[c], candidates.id(c)};
    std::sort(ranked, ranked + count, better);
    return;
  }
  // Each one's place is the number of better ones: more comparisons than sorting needs, but none to be
  // guessed.
  for (std::int64_t c = 0; c < count; ++c) {
    const double score = exact[c];
    std::int64_t place = 0;
    for (std::int64_t j = 0; j < c; ++j) place += static_cast<std::int64_t>(exact[j] >= score);
    for (std::int64_t j = c + 1; j < count; ++j) place += static_cast<std::int64_t>(exact[j] > score);
    ranked[place] = {score, candidates.id(c)};
  }
}

/// A query on its way through the tiles.
struct Row {
  cpu::Candidates candidates;
  std::int64_t next_excluded;  ///< position in `column_indices`
};

/// Sizes that depend on the shape alone.
struct Plan {
  std::int64_t wanted;      ///< candidates per row
  std::int64_t capacity;    ///< values of each of a row's two candidate arrays
  std::int64_t block_rows;  ///< queries per block
  std::int64_t ranked;      ///< keys with double scores held at one time

  Plan(std::int64_t queries, std::int64_t keys, std::int64_t k)
      : wanted(std::min(k + margin, keys)),
        capacity(cpu::Candidates::capacity(wanted)),
        block_rows(
            std::clamp<std::int64_t>(std::min(queries / 16, (std::int64_t{1} << 18) / capacity), 8, 128)),
        ranked(std::max(wanted, 2 * k)) {}

  std::size_t slot_bytes() const {
    return cpu::scratch_bytes<float>(block_rows * tile_keys) +
           cpu::scratch_bytes<float>(block_rows * capacity) +
           cpu::scratch_bytes<std::int32_t>(block_rows * capacity) + cpu::scratch_bytes<Row>(block_rows) +
           cpu::scratch_bytes<double>(wanted) + cpu::scratch_bytes<Ranked>(ranked);
  }
};

/// What one thread works in.
struct Slot {
  float* tile;  ///< float scores, block_rows x tile_keys
  float* candidate_scores;
  std::int32_t* candidate_ids;
  Row* rows;
  double* exact;  ///< of a row's candidates
  Ranked* ranked;

  Slot(cpu::Scratch scratch, const Plan& plan)
      : tile(scratch.take<float>(plan.block_rows * tile_keys)),
        candidate_scores(scratch.take<float>(plan.block_rows * plan.capacity)),
        candidate_ids(scratch.take<std::int32_t>(plan.block_rows * plan.capacity)),
        rows(scratch.take<Row>(plan.block_rows)),
        exact(scratch.take<double>(plan.wanted)),
        ranked(scratch.take<Ranked>(plan.ranked)) {}
};

struct Search {
  ConstMatrixView queries, keys;
  std::int64_t k;
  const CsrPatternView& excluded;
  IndexView ids;
  VectorView scores;
  Plan plan;
  double largest_key_norm;

  std::int64_t excluded_begin(std::int64_t row) const {
    return excluded.row_offsets == nullptr ? 0 : excluded.row_offsets[row];
  }
  std::int64_t excluded_end(std::int64_t row) const {
    return excluded.row_offsets == nullptr ? 0 : excluded.row_offsets[row + 1];
  }

  void search_block(std::int64_t block, const Slot& slot) const {
    const std::int64_t first = block * plan.block_rows;
    const std::int64_t rows = std::min(plan.block_rows, queries.rows - first);
    for (std::int64_t i = 0; i < rows; ++i) {
      if (excluded.row_offsets != nullptr)
        cpu::require_ascending_row("topk_dot", "excluded", excluded, first + i);
      const std::int64_t offset = i * plan.capacity;
      std::construct_at(slot.rows + i,
                        Row{{slot.candidate_scores + offset, slot.candidate_ids + offset, plan.wanted},
                            excluded_begin(first + i)});
    }
    for (std::int64_t first_key = 0; first_key < keys.rows; first_key += tile_keys) {
      const std::int64_t count = std::min(tile_keys, keys.rows - first_key);
      cpu::gemm(Transpose::no, Transpose::yes, rows, count, queries.columns, 1.0f, queries.row(first),
                queries.leading_dimension, keys.row(first_key), keys.leading_dimension, 0.0f, slot.tile,
                tile_keys);
      for (std::int64_t i = 0; i < rows; ++i) {
        float* scores_row = slot.tile + i * tile_keys;
        std::int64_t& next = slot.rows[i].next_excluded;
        for (const std::int64_t end = excluded_end(first + i); next < end; ++next) {
          const std::int64_t key = excluded.column_indices[next] - first_key;
          if (key >= count) break;
          scores_row[key] = cpu::Candidates::no_score;
        }
        slot.rows[i].candidates.add(scores_row, count, static_cast<std::int32_t>(first_key));
      }
    }
    for (std::int64_t i = 0; i < rows; ++i) finish_row(first + i, slot.rows[i].candidates, slot);
  }

  /// Ranks the candidates in double precision, and all keys where that does not settle the row.
  [[gnu::noinline]] void finish_row(std::int64_t row, cpu::Candidates& candidates, const Slot& slot) const {
    Ranked* ranked = slot.ranked;
    const float* query = queries.row(row);
    const double norms = std::sqrt(fixed_dot(query, query, queries.columns)) * largest_key_norm;
    // Beyond this a float product may overflow; the comparison is false for a norm that is not a number.
    if (!(norms < 1e37)) return rank_all(row, ranked);
    candidates.finish();
    const std::int64_t count = candidates.count();
    for (std::int64_t c = 0; c < count; ++c) {
      // The hardware cannot predict these rows; the list names them.
      constexpr std::int64_t ahead = 4, line = 16, lines = 16;
      if (c + ahead < count) {
        const float* next = keys.row(candidates.id(c + ahead));
        for (std::int64_t j = 0; j < std::min(keys.columns, lines * line); j += line)
          __builtin_prefetch(next + j);
      }
      slot.exact[c] = fixed_dot(query, keys.row(candidates.id(c)), keys.columns);
    }
    const std::int64_t taken = std::min(k, count);
    rank_candidates(candidates, slot.exact, ranked);
    if (candidates.threshold() != cpu::Candidates::no_score && norms > 0.0) {
      const auto width = static_cast<double>(queries.columns);
      const double error = 1.01 * width * (0x1.0p-24 * norms + 0x1.0p-126);
      if (!(ranked[k - 1].score > static_cast<double>(candidates.threshold()) + error)) {
        return rank_all(row, ranked);
      }
    }
    store(row, ranked, taken);
  }

  /// Ranks every key of a row that is not excluded.
  void rank_all(std::int64_t row, Ranked* ranked) const {
    const float* query = queries.row(row);
    std::int64_t next = excluded_begin(row);
    const std::int64_t end = excluded_end(row);
    std::int64_t count = 0;
    double threshold = -std::numeric_limits<double>::infinity();
    for (std::int64_t key = 0; key < keys.rows; ++key) {
      if (next < end && excluded.column_indices[next] == key) {
        ++next;
        continue;
      }
      const double score = fixed_dot(query, keys.row(key), keys.columns);
      if (!(score > threshold)) continue;
      ranked[count++] = {score, static_cast<std::int32_t>(key)};
      if (count == 2 * k) {
        std::nth_element(ranked, ranked + k - 1, ranked + count, better);
        count = k;
        threshold = ranked[k - 1].score;
      }
    }
    const std::int64_t taken = std::min(k, count);
    std::partial_sort(ranked, ranked + taken, ranked + count, better);
    store(row, ranked, taken);
  }

  void store(std::int64_t row, const Ranked* ranked, std::int64_t taken) const {
    std::int32_t* row_ids = ids.data() + row * k;
    float* row_scores = scores.data() + row * k;
    for (std::int64_t j = 0; j < taken; ++j) {
      row_ids[j] = ranked[j].id;
      row_scores[j] = static_cast<float>(ranked[j].score);
    }
    std::fill(row_ids + taken, row_ids + k, -1);
    std::fill(row_scores + taken, row_scores + k, cpu::Candidates::no_score);
  }
};

}  // namespace

std::size_t CpuBackend::topk_dot_workspace(std::int64_t queries, std::int64_t keys, std::int64_t,
                                           std::int64_t k) const {
  const Plan plan(queries, keys, k);
  return cpu::scratch_bytes<double>(cpu::blocks_of(keys, norm_block)) +
         static_cast<std::size_t>(pool_->threads()) * plan.slot_bytes();
}

void CpuBackend::topk_dot(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                          const CsrPatternView& excluded, IndexView ids, VectorView scores,
                          Workspace workspace) {
  checks::topk_dot(queries, keys, k, excluded, ids, scores);
  const Plan plan(queries.rows, keys.rows, k);
  cpu::Scratch scratch("topk_dot", workspace);
  const std::int64_t norm_blocks = cpu::blocks_of(keys.rows, norm_block);
  double* largest = scratch.take<double>(norm_blocks);
  pool_->parallel_for(norm_blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(keys.rows, (block + 1) * norm_block);
    double most = 0.0;
    for (std::int64_t key = block * norm_block; key < end; ++key) {
      const double square = fixed_dot(keys.row(key), keys.row(key), keys.columns);
      if (square > most) most = square;
    }
    largest[block] = std::sqrt(most);
  });
  const Search search{queries, keys,   k,    excluded,
                      ids,     scores, plan, *std::max_element(largest, largest + norm_blocks)};
  auto* slots = reinterpret_cast<std::byte*>(scratch.take<char>(static_cast<std::int64_t>(plan.slot_bytes()) *
                                                                static_cast<std::int64_t>(pool_->threads())));
  pool_->parallel_for(cpu::blocks_of(queries.rows, plan.block_rows), [&](std::int64_t block, int number) {
    cpu::Scratch own("topk_dot",
                     {slots + static_cast<std::size_t>(number) * plan.slot_bytes(), plan.slot_bytes()});
    search.search_block(block, Slot(own, plan));
  });
}

}  // namespace sea
