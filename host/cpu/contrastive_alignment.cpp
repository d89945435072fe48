#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cpu/alignment_tiles.hpp"
#include "cpu/chunks.hpp"
#include "cpu/dot.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

using cpu::AlignmentBlock;
using cpu::AlignmentKeys;
using cpu::blocks_of;
using cpu::Chunks;
using cpu::key_tile;
using cpu::padded;
using cpu::query_block;

constexpr const char* name = "contrastive_alignment";

/// What a call computes; row i of `partners` is the positive of query i.
struct Direction {
  ConstMatrixView queries, partners;
  AlignmentKeys keys;
  float inverse_temperature;
  float scale;      ///< of the gradients: weight * share of the loss / (n * temperature)
  bool accumulate;  ///< add to the gradients that are there
  MatrixView d_queries;
  MatrixView d_partners;
};

/// The blocks of queries, cut into the parts in which the keys' gradient is summed.
Chunks chunks_of(std::int64_t n) {
  return {blocks_of(n, query_block), 16};
}

ConstMatrixView queries_of_block(ConstMatrixView queries, std::int64_t block) {
  const std::int64_t first = block * query_block;
  return queries.row_range(first, std::min(query_block, queries.rows - first));
}

/// Packs the rows of `matrix`: all, or those that `samples` names.
void pack(ThreadPool& pool, ConstMatrixView matrix, ConstIndexView samples, std::int64_t count,
          float* packed) {
  constexpr std::int64_t rows_per_task = 512;
  const std::int64_t width = padded(matrix.columns);
  pool.parallel_for(blocks_of(count, rows_per_task), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(count, (task + 1) * rows_per_task);
    for (std::int64_t j = task * rows_per_task; j < end; ++j) {
      const float* source = matrix.row(samples.empty() ? j : samples[static_cast<std::size_t>(j)]);
      float* row = packed + j * width;
      std::copy_n(source, matrix.columns, row);
      std::fill(row + matrix.columns, row + width, 0.0f);
    }
  });
}

/// The gradient of each key's row += scale * the sum of its parts, in their order.
void add_key_gradients(ThreadPool& pool, const AlignmentKeys& keys, ConstIndexView samples,
                       const float* parts, std::int64_t part_count, float scale, MatrixView gradient) {
  constexpr std::int64_t keys_per_task = 256;
  pool.parallel_for(blocks_of(keys.count, keys_per_task), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(keys.count, (task + 1) * keys_per_task);
    for (std::int64_t j = task * keys_per_task; j < end; ++j) {
      float* row = gradient.row(samples.empty() ? j : samples[static_cast<std::size_t>(j)]);
#pragma omp simd
      for (std::int64_t k = 0; k < gradient.columns; ++k) {
        float sum = 0.0f;
        for (std::int64_t part = 0; part < part_count; ++part) {
          sum += parts[(part * keys.count + j) * keys.width + k];
        }
        row[k] += scale * sum;
      }
    }
  });
}

/// SoloSim on one block of queries: returns its sum of losses, writes the gradients of queries and positives,
/// and the keys' part. That needs the sums of whole rows, so the exponentials of all keys are kept until they
/// are known: one exponential and three products a logit.
double solosim_block(const Direction& direction, std::int64_t block_number, bool first_of_chunk,
                     float* d_keys, const AlignmentBlock& block) {
  const AlignmentKeys& keys = direction.keys;
  const ConstMatrixView queries = queries_of_block(direction.queries, block_number);
  block.load(queries);
  std::fill_n(block.sums, query_block, 0.0f);
  for (std::int64_t first = 0; first < keys.count; first += key_tile) {
    const std::int64_t count = std::min(key_tile, keys.count - first);
    float* tile = block.exponentials + first * query_block;
    block.exponentiate(keys, first, count, direction.inverse_temperature, tile);
    block.add_to_sums(tile, count);
    block.attend(keys, first, count, tile);
  }

  double loss = 0.0;
  for (std::int64_t i = 0; i < queries.rows; ++i) {
    const std::int64_t row = block_number * query_block + i;
    const std::int64_t position = keys.position_of(row);
    const float* query = queries.row(i);
    const float* partner = direction.partners.row(row);
    // A query whose positive is not among the keys brings it along as one key more.
    float own = 0.0f;
    if (position < 0) {
      const float dot = cpu::dot(query, partner, queries.columns);
      own = fast_exp(dot * direction.inverse_temperature - direction.inverse_temperature);
    }
    // The positive's logit is the logarithm of the very number that the sum holds, so that a loss is never
    // negative.
    const float positive = position < 0 ? own : block.exponentials[position * query_block + i];
    const double sum = static_cast<double>(block.sums[i]) + static_cast<double>(own);
    loss += std::log(sum) - std::log(static_cast<double>(positive));

    const float inverse_sum = static_cast<float>(1.0 / sum);
    const float of_partner = direction.scale * (own * inverse_sum - 1.0f);
    const float of_keys = direction.scale * inverse_sum;
    const float* attended = block.gradient + i * keys.width;
    float* query_over_sum = block.by_row + i * keys.width;
    float* d_query = direction.d_queries.row(row);
    float* d_partner = direction.d_partners.row(row);
    for (std::int64_t k = 0; k < queries.columns; ++k) {
      const float to_query = of_keys * attended[k] + of_partner * partner[k];
      const float to_partner = of_partner * query[k];
      d_query[k] = direction.accumulate ? d_query[k] + to_query : to_query;
      d_partner[k] = direction.accumulate ? d_partner[k] + to_partner : to_partner;
      query_over_sum[k] *= inverse_sum;
    }
  }
  block.scatter(keys, 0, keys.count, block.exponentials, !first_of_chunk, d_keys);
  return loss;
}

/// The first walk of InfoNCE on one block of queries: their sums of exponentials, the block's part of the
/// keys' sums, and its share of the loss, but for the keys' sums.
double infonce_sums_block(const Direction& direction, std::int64_t block_number, bool first_of_chunk,
                          float* inverse_row_sums, float* key_sums, const AlignmentBlock& block) {
  const AlignmentKeys& keys = direction.keys;
  const ConstMatrixView queries = queries_of_block(direction.queries, block_number);
  const std::int64_t first_row = block_number * query_block;
  block.load(queries);
  std::fill_n(block.sums, query_block, 0.0f);
  double loss = 0.0;
  for (std::int64_t first = 0; first < keys.count; first += key_tile) {
    const std::int64_t count = std::min(key_tile, keys.count - first);
    float* tile = block.exponentials;
    block.exponentiate(keys, first, count, direction.inverse_temperature, tile);
    block.add_to_sums(tile, count);
    for (std::int64_t j = 0; j < count; ++j) {
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < queries.rows; ++i) sum += tile[j * query_block + i];
      key_sums[first + j] = first_of_chunk ? sum : key_sums[first + j] + sum;
    }
    const std::int64_t begin = std::max(first, first_row);
    const std::int64_t end = std::min(first + count, first_row + queries.rows);
    for (std::int64_t row = begin; row < end; ++row) {
      loss -= 2.0 * std::log(static_cast<double>(tile[(row - first) * query_block + row - first_row]));
    }
  }
  for (std::int64_t i = 0; i < queries.rows; ++i) {
    loss += std::log(static_cast<double>(block.sums[i]));
    inverse_row_sums[first_row + i] = 1.0f / block.sums[i];
  }
  return loss;
}

/// The second walk: gradients, a logit's weight being its share in its row plus its share in its column.
void infonce_gradients_block(const Direction& direction, std::int64_t block_number, bool first_of_chunk,
                             const float* inverse_row_sums, const float* inverse_key_sums, float* d_keys,
                             const AlignmentBlock& block) {
  const AlignmentKeys& keys = direction.keys;
  const ConstMatrixView queries = queries_of_block(direction.queries, block_number);
  const std::int64_t first_row = block_number * query_block;
  block.load(queries);
  std::fill_n(block.sums, query_block, 0.0f);
  std::copy_n(inverse_row_sums + first_row, queries.rows, block.sums);
  for (std::int64_t first = 0; first < keys.count; first += key_tile) {
    const std::int64_t count = std::min(key_tile, keys.count - first);
    float* tile = block.exponentials;
    block.exponentiate(keys, first, count, direction.inverse_temperature, tile);
    for (std::int64_t j = 0; j < count; ++j) {
      const float inverse_key_sum = inverse_key_sums[first + j];
#pragma omp simd
      for (std::int64_t i = 0; i < query_block; ++i) {
        tile[j * query_block + i] *= block.sums[i] + inverse_key_sum;
      }
    }
    block.attend(keys, first, count, tile);
    block.scatter(keys, first, count, tile, !first_of_chunk, d_keys);
  }
  for (std::int64_t i = 0; i < queries.rows; ++i) {
    const std::int64_t row = first_row + i;
    const float* query = queries.row(i);
    const float* partner = direction.partners.row(row);
    const float* attended = block.gradient + i * keys.width;
    float* d_query = direction.d_queries.row(row);
    float* d_partner = direction.d_partners.row(row);
    for (std::int64_t k = 0; k < queries.columns; ++k) {
      d_query[k] = direction.scale * (attended[k] - 2.0f * partner[k]);
      d_partner[k] = -2.0f * direction.scale * query[k];
    }
  }
}

/// The arrays of a call in its workspace.
struct Arrays {
  float* packed;            ///< keys x padded width
  std::int32_t* position;   ///< n, where keys are a sample
  float* key_gradients;     ///< chunks x keys x padded width
  float* key_sums;          ///< chunks x n, InfoNCE over all keys
  float* inverse_row_sums;  ///< n, likewise
  float* inverse_key_sums;  ///< n, likewise
  double* losses;           ///< blocks of queries, or of keys
  float* blocks;            ///< AlignmentBlock of each thread
};

/// The mean loss over one direction, SoloSim.
double solosim(ThreadPool& pool, const Direction& direction, ConstIndexView samples, const Arrays& arrays) {
  const std::int64_t n = direction.queries.rows;
  const std::int64_t key_size = direction.keys.count * direction.keys.width;
  const Chunks chunks = chunks_of(n);
  pool.parallel_for(chunks.count(), [&](std::int64_t chunk, int slot) {
    const AlignmentBlock block(arrays.blocks, slot, direction.keys.count, direction.queries.columns);
    for (std::int64_t b = chunks.first(chunk); b < chunks.first(chunk + 1); ++b) {
      arrays.losses[b] = solosim_block(direction, b, b == chunks.first(chunk),
                                       arrays.key_gradients + chunk * key_size, block);
    }
  });
  add_key_gradients(pool, direction.keys, samples, arrays.key_gradients, chunks.count(), direction.scale,
                    direction.d_partners);
  double loss = 0.0;
  for (std::int64_t b = 0; b < blocks_of(n, query_block); ++b) loss += arrays.losses[b];
  return loss / static_cast<double>(n);
}

/// The mean loss over both directions, InfoNCE over all keys, in two walks: one product, then three.
double infonce(ThreadPool& pool, const Direction& direction, const Arrays& arrays) {
  const std::int64_t n = direction.queries.rows;
  const std::int64_t key_size = n * direction.keys.width;
  const Chunks chunks = chunks_of(n);
  const auto for_each_block = [&](const auto& body) {
    pool.parallel_for(chunks.count(), [&](std::int64_t chunk, int slot) {
      const AlignmentBlock block(arrays.blocks, slot, key_tile, direction.queries.columns);
      for (std::int64_t b = chunks.first(chunk); b < chunks.first(chunk + 1); ++b) {
        body(b, chunk, b == chunks.first(chunk), block);
      }
    });
  };
  for_each_block([&](std::int64_t b, std::int64_t chunk, bool first_of_chunk, const AlignmentBlock& block) {
    arrays.losses[b] = infonce_sums_block(direction, b, first_of_chunk, arrays.inverse_row_sums,
                                          arrays.key_sums + chunk * n, block);
  });
  double loss = 0.0;
  for (std::int64_t b = 0; b < blocks_of(n, query_block); ++b) loss += arrays.losses[b];

  pool.parallel_for(blocks_of(n, query_block), [&](std::int64_t b, int) {
    double logarithms = 0.0;
    for (std::int64_t j = b * query_block; j < std::min(n, (b + 1) * query_block); ++j) {
      double sum = 0.0;
      for (std::int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
        sum += static_cast<double>(arrays.key_sums[chunk * n + j]);
      }
      arrays.inverse_key_sums[j] = static_cast<float>(1.0 / sum);
      logarithms += std::log(sum);
    }
    arrays.losses[b] = logarithms;
  });
  for (std::int64_t b = 0; b < blocks_of(n, query_block); ++b) loss += arrays.losses[b];

  for_each_block([&](std::int64_t b, std::int64_t chunk, bool first_of_chunk, const AlignmentBlock& block) {
    infonce_gradients_block(direction, b, first_of_chunk, arrays.inverse_row_sums, arrays.inverse_key_sums,
                            arrays.key_gradients + chunk * key_size, block);
  });
  add_key_gradients(pool, direction.keys, {}, arrays.key_gradients, chunks.count(), direction.scale,
                    direction.d_partners);
  return loss / (2.0 * static_cast<double>(n));
}

/// position[row] = the place of `row` in `samples`, or -1.
void find_positions(ConstIndexView samples, std::int64_t n, std::int32_t* position) {
  std::fill_n(position, n, -1);
  for (std::size_t s = 0; s < samples.size(); ++s) {
    const std::int32_t row = samples[s];
    if (row < 0 || row >= n) {
      throw Error(fmt::format("{}: sample {} is {} and must be a row, 0 to {}", name, s, row, n - 1));
    }
    if (position[row] >= 0) {
      throw Error(
          fmt::format("{}: samples {} and {} are both {} and must be distinct", name, position[row], s, row));
    }
    position[row] = static_cast<std::int32_t>(s);
  }
}

}  // namespace

void CpuBackend::contrastive_alignment(ConstMatrixView text, ConstMatrixView visual, float temperature,
                                       bool symmetric, ConstIndexView samples, float weight, float* loss,
                                       MatrixView d_text, MatrixView d_visual, Workspace workspace) {
  const std::int64_t n = text.rows;
  const std::int64_t width = text.columns;
  checks::contrastive_alignment(text, visual, temperature, samples, d_text, d_visual);

  const bool sampled = !samples.empty();
  const std::int64_t keys = sampled ? static_cast<std::int64_t>(samples.size()) : n;
  const std::int64_t chunks = chunks_of(n).count();
  cpu::Scratch scratch(name, workspace);
  Arrays arrays;
  arrays.packed = scratch.take<float>(keys * padded(width));
  arrays.position = scratch.take<std::int32_t>(n);
  arrays.key_gradients = scratch.take<float>(chunks * keys * padded(width));
  arrays.key_sums = scratch.take<float>(chunks * n);
  arrays.inverse_row_sums = scratch.take<float>(n);
  arrays.inverse_key_sums = scratch.take<float>(n);
  arrays.losses = scratch.take<double>(blocks_of(n, query_block));
  arrays.blocks =
      scratch.take<float>(pool_->threads() * AlignmentBlock::size(std::max(keys, key_tile), width));

  if (sampled) find_positions(samples, n, arrays.position);
  const float share = symmetric ? 0.5f : 1.0f;
  const float scale = weight * share / (static_cast<float>(n) * temperature);
  const AlignmentKeys packed_keys{arrays.packed, keys, padded(width), sampled ? arrays.position : nullptr};
  const Direction to_visual{text, visual, packed_keys, 1.0f / temperature, scale, false, d_text, d_visual};
  pack(*pool_, visual, samples, keys, arrays.packed);
  if (!symmetric) {
    *loss = static_cast<float>(solosim(*pool_, to_visual, samples, arrays));
  } else if (!sampled) {
    *loss = static_cast<float>(infonce(*pool_, to_visual, arrays));
  } else {
    // With a sample of keys the two directions have no logits in common but the positives'.
    const double there = solosim(*pool_, to_visual, samples, arrays);
    const Direction to_text{visual, text, packed_keys, 1.0f / temperature, scale, true, d_visual, d_text};
    pack(*pool_, text, samples, keys, arrays.packed);
    const double back = solosim(*pool_, to_text, samples, arrays);
    *loss = static_cast<float>(0.5 * (there + back));
  }
}

std::size_t CpuBackend::contrastive_alignment_workspace(std::int64_t n, std::int64_t width,
                                                        std::int64_t samples) const {
  const std::int64_t keys = samples > 0 ? samples : n;
  const std::int64_t chunks = chunks_of(n).count();
  return cpu::scratch_bytes<float>(keys * padded(width)) + cpu::scratch_bytes<std::int32_t>(n) +
         cpu::scratch_bytes<float>(chunks * keys * padded(width)) + cpu::scratch_bytes<float>(chunks * n) +
         2 * cpu::scratch_bytes<float>(n) + cpu::scratch_bytes<double>(blocks_of(n, query_block)) +
         cpu::scratch_bytes<float>(pool_->threads() * AlignmentBlock::size(std::max(keys, key_tile), width));
}

}  // namespace sea
