#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/alignment_tiles.hpp"
#include "cpu/check.hpp"
#include "cpu/chunks.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"

namespace sea {

namespace {

using cpu::AlignmentBlock;
using cpu::AlignmentKeys;
using cpu::blocks_of;
using cpu::Chunks;
using cpu::key_tile;
using cpu::padded;
using cpu::query_block;
using cpu::tile_product;

constexpr const char* name = "contrastive";

/// What a call computes. `columns` are what a query is compared with: the keys and then, for intra, all
/// queries.
struct Problem {
  ConstMatrixView queries, keys;  ///< the rows that count
  ConstIndexView positives;       ///< empty: row i
  AlignmentKeys columns;
  float inverse_temperature;
  double epsilon;
  float scale;  ///< of the gradients but for a row's own factor
  MatrixView d_queries;

  std::int64_t positive_of(std::int64_t row) const {
    return positives.empty() ? row : positives[static_cast<std::size_t>(row)];
  }
};

/// The blocks of queries, cut into the parts in which the columns' gradient is summed.
Chunks chunks_of(std::int64_t queries) {
  return {blocks_of(queries, query_block), 16};
}

/// The logits of a block against all columns, and the largest of each query; a query is no column of its own.
void logits_of_block(const Problem& problem, std::int64_t first_row, std::int64_t rows,
                     const AlignmentBlock& block, float* largest) {
  const AlignmentKeys& columns = problem.columns;
  const std::int64_t own = problem.keys.rows + first_row;  // of the block's first query
  std::fill_n(largest, query_block, -std::numeric_limits<float>::infinity());
  for (std::int64_t first = 0; first < columns.count; first += key_tile) {
    const std::int64_t count = std::min(key_tile, columns.count - first);
    float* tile = block.exponentials + first * query_block;
    tile_product(count, query_block, columns.width, {columns.rows + first * columns.width, columns.width, 1},
                 block.by_column, query_block, false, tile, query_block);
    for (std::int64_t j = std::max(first, own); j < std::min(first + count, own + rows); ++j) {
      tile[(j - first) * query_block + j - own] = -std::numeric_limits<float>::infinity();
    }
    for (std::int64_t j = 0; j < count; ++j) {
#pragma omp simd
      for (std::int64_t i = 0; i < query_block; ++i) {
        const float logit = tile[j * query_block + i] * problem.inverse_temperature;
        tile[j * query_block + i] = logit;
        largest[i] = largest[i] < logit ? logit : largest[i];
      }
    }
  }
}

/// One block of queries: returns its sum of losses, writes its own gradients, adds up the columns' part. The
/// logits of all columns are kept until a row's maximum, then its sum, are known: three products a logit.
double block_of_queries(const Problem& problem, std::int64_t block_number, bool first_of_chunk,
                        float* d_columns, const AlignmentBlock& block) {
  const AlignmentKeys& columns = problem.columns;
  const std::int64_t first_row = block_number * query_block;
  const std::int64_t rows = std::min(query_block, problem.queries.rows - first_row);
  const std::int64_t width = problem.queries.columns;
  block.load(problem.queries.row_range(first_row, rows));
  float largest[query_block], positive_logits[query_block];
  logits_of_block(problem, first_row, rows, block, largest);
  for (std::int64_t i = 0; i < rows; ++i) {
    positive_logits[i] = block.exponentials[problem.positive_of(first_row + i) * query_block + i];
  }

  std::fill_n(block.sums, query_block, 0.0f);
  for (std::int64_t first = 0; first < columns.count; first += key_tile) {
    const std::int64_t count = std::min(key_tile, columns.count - first);
    float* tile = block.exponentials + first * query_block;
    for (std::int64_t j = 0; j < count; ++j) {
#pragma omp simd
      for (std::int64_t i = 0; i < query_block; ++i) {
        tile[j * query_block + i] = fast_exp(tile[j * query_block + i] - largest[i]);
      }
    }
    block.add_to_sums(tile, count);
    block.attend(columns, first, count, tile);
  }

  double loss = 0.0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t row = first_row + i, positive = problem.positive_of(row);
    const double sum = block.sums[i];
    double row_loss =
        std::log(sum) - (static_cast<double>(positive_logits[i]) - static_cast<double>(largest[i]));
    double factor = 1.0;
    if (problem.epsilon > 0.0) {
      const double ratio = std::exp(-row_loss);
      factor = ratio / (ratio + problem.epsilon);
      row_loss = -std::log(ratio + problem.epsilon);
    }
    loss += row_loss;

    const auto scale = static_cast<float>(problem.scale * factor);
    const auto scale_over_sum = static_cast<float>(problem.scale * factor / sum);
    const float* attended = block.gradient + i * columns.width;
    const float* key = problem.keys.row(positive);
    float* query = block.by_row + i * columns.width;
    float* d_query = problem.d_queries.row(row);
    for (std::int64_t k = 0; k < width; ++k) {
      d_query[k] = scale_over_sum * attended[k] - scale * key[k];
      query[k] *= scale_over_sum;
    }
    block.exponentials[positive * query_block + i] -= block.sums[i];
  }
  block.scatter(columns, 0, columns.count, block.exponentials, !first_of_chunk, d_columns);
  return loss;
}

/// Copies rows to `packed`, their columns padded with zeros.
void pack(ThreadPool& pool, ConstMatrixView rows, float* packed) {
  constexpr std::int64_t rows_per_task = 512;
  const std::int64_t width = padded(rows.columns);
  pool.parallel_for(blocks_of(rows.rows, rows_per_task), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(rows.rows, (task + 1) * rows_per_task);
    for (std::int64_t i = task * rows_per_task; i < end; ++i) {
      std::copy_n(rows.row(i), rows.columns, packed + i * width);
      std::fill(packed + i * width + rows.columns, packed + (i + 1) * width, 0.0f);
    }
  });
}

/// The gradients of `rows` columns from column `first` on, the sums of their parts in the parts' order,
/// written to or added to `gradient`, whose further rows are set to zero where it is written.
void sum_parts(ThreadPool& pool, const AlignmentKeys& columns, const float* parts, std::int64_t part_count,
               std::int64_t first, std::int64_t rows, bool accumulate, MatrixView gradient) {
  constexpr std::int64_t rows_per_task = 256;
  pool.parallel_for(blocks_of(gradient.rows, rows_per_task), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(gradient.rows, (task + 1) * rows_per_task);
    for (std::int64_t i = task * rows_per_task; i < end; ++i) {
      float* row = gradient.row(i);
      if (i >= rows) {
        if (!accumulate) std::fill_n(row, gradient.columns, 0.0f);
        continue;
      }
#pragma omp simd
      for (std::int64_t k = 0; k < gradient.columns; ++k) {
        float sum = 0.0f;
        for (std::int64_t part = 0; part < part_count; ++part) {
          sum += parts[(part * columns.count + first + i) * columns.width + k];
        }
        row[k] = accumulate ? row[k] + sum : sum;
      }
    }
  });
}

}  // namespace

void CpuBackend::contrastive(ConstMatrixView queries, ConstMatrixView keys, ConstIndexView positives,
                             const ContrastiveSettings& settings, const StepState* state, float weight,
                             float* loss, MatrixView d_queries, MatrixView d_keys, Workspace workspace) {
  const std::int64_t n = queries.rows, width = queries.columns;
  checks::contrastive(queries, keys, positives, settings, d_queries, d_keys);
  const std::int64_t count = state != nullptr ? state->count : n;
  cpu::require_count(name, count, 1, n);
  if (!positives.empty()) cpu::require_indices(name, "positives", positives, count, keys.rows);

  const std::int64_t key_count = positives.empty() ? count : keys.rows;
  const std::int64_t column_count = key_count + (settings.intra ? count : 0);
  const std::int64_t blocks = blocks_of(count, query_block);
  const Chunks chunks = chunks_of(count);
  cpu::Scratch scratch(name, workspace);
  float* packed = scratch.take<float>(column_count * padded(width));
  float* parts = scratch.take<float>(chunks.count() * column_count * padded(width));
  double* losses = scratch.take<double>(blocks);
  float* block_memory = scratch.take<float>(pool_->threads() * AlignmentBlock::size(column_count, width));

  const double queries_share = settings.mean ? 1.0 / static_cast<double>(count) : 1.0;
  const Problem problem{queries.row_range(0, count),
                        keys.row_range(0, key_count),
                        positives,
                        {packed, column_count, padded(width), nullptr},
                        1.0f / settings.temperature,
                        static_cast<double>(settings.epsilon),
                        static_cast<float>(weight * queries_share / settings.temperature),
                        d_queries};
  pack(*pool_, problem.keys, packed);
  if (settings.intra) pack(*pool_, problem.queries, packed + key_count * padded(width));
  pool_->parallel_for(chunks.count(), [&](std::int64_t chunk, int slot) {
    const AlignmentBlock block(block_memory, slot, column_count, width);
    float* part = parts + chunk * column_count * padded(width);
    for (std::int64_t b = chunks.first(chunk); b < chunks.first(chunk + 1); ++b) {
      losses[b] = block_of_queries(problem, b, b == chunks.first(chunk), part, block);
    }
  });
  for (std::int64_t i = count; i < n; ++i) std::fill_n(d_queries.row(i), width, 0.0f);
  sum_parts(*pool_, problem.columns, parts, chunks.count(), 0, key_count, false, d_keys);
  if (settings.intra) {
    sum_parts(*pool_, problem.columns, parts, chunks.count(), key_count, count, true, d_queries);
  }
  double total = 0.0;
  for (std::int64_t b = 0; b < blocks; ++b) total += losses[b];
  *loss = static_cast<float>(total * queries_share);
}

std::size_t CpuBackend::contrastive_workspace(std::int64_t queries, std::int64_t keys, std::int64_t width,
                                              bool intra) const {
  const std::int64_t columns = keys + (intra ? queries : 0);
  return cpu::scratch_bytes<float>(columns * padded(width)) +
         cpu::scratch_bytes<float>(chunks_of(queries).count() * columns * padded(width)) +
         cpu::scratch_bytes<double>(blocks_of(queries, query_block)) +
         cpu::scratch_bytes<float>(pool_->threads() * AlignmentBlock::size(columns, width));
}

}  // namespace sea
