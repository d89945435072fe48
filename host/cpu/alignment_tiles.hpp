#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/tile_product.hpp"
#include "sea/fast_exp.hpp"
#include "sea/matrix.hpp"

// The walk of contrastive_alignment over its logits. Those of 64 queries (rows of one matrix) against all
// keys (rows of the other) are formed transposed, a tile of keys at a time: exponentials[key][query]. The
// queries fill the vector lanes of the exponential and of its sums, and both gradients read the tile by
// broadcasts:
//   d_query += exponentials^T keys,   d_key += exponentials queries.

namespace sea::cpu {

/// Queries of a block, and keys of a tile: 24 KB of exponentials stay in the innermost cache.
inline constexpr std::int64_t query_block = 64;
inline constexpr std::int64_t key_tile = 96;

/// The keys that every query sees, packed: columns padded with zeros. Where they are a sample,
/// `position[row]` says which key a row is, or -1; null stands for all rows in order.
struct AlignmentKeys {
  const float* rows;
  std::int64_t count;
  std::int64_t width;  ///< padded
  const std::int32_t* position;

  std::int64_t position_of(std::int64_t row) const { return position != nullptr ? position[row] : row; }
};

/// What one thread needs for a block of queries.
struct AlignmentBlock {
  float* exponentials;  ///< `strip` keys x query_block
  float* by_column;     ///< the queries transposed, padded width x query_block
  float* by_row;        ///< the queries, query_block x padded width
  float* gradient;      ///< of the queries, query_block x padded width
  float* sums;          ///< query_block

  static std::int64_t size(std::int64_t strip, std::int64_t width) {
    return (strip + 3 * padded(width) + 1) * query_block;
  }

  /// The block of thread `slot` in `memory`, which holds `size` floats per thread.
  AlignmentBlock(float* memory, std::int64_t slot, std::int64_t strip, std::int64_t width) {
    exponentials = memory + slot * size(strip, width);
    by_column = exponentials + strip * query_block;
    by_row = by_column + padded(width) * query_block;
    gradient = by_row + padded(width) * query_block;
    sums = gradient + padded(width) * query_block;
  }

  /// Takes at most query_block queries; places left over are zero.
  void load(ConstMatrixView queries) const {
    const std::int64_t width = padded(queries.columns);
    std::fill_n(by_column, width * query_block, 0.0f);
    std::fill_n(by_row, width * query_block, 0.0f);
    for (std::int64_t i = 0; i < queries.rows; ++i) {
      std::copy_n(queries.row(i), queries.columns, by_row + i * width);
      for (std::int64_t k = 0; k < queries.columns; ++k) by_column[k * query_block + i] = queries(i, k);
    }
  }

  /// tile[key][query] = exp((query . key - 1) / temperature) for the keys [first, first + count).
  void exponentiate(const AlignmentKeys& keys, std::int64_t first, std::int64_t count,
                    float inverse_temperature, float* tile) const {
    tile_product(count, query_block, keys.width, {keys.rows + first * keys.width, keys.width, 1}, by_column,
                 query_block, false, tile, query_block);
#pragma omp simd
    for (std::int64_t i = 0; i < count * query_block; ++i) {
      tile[i] = fast_exp(tile[i] * inverse_temperature - inverse_temperature);
    }
  }

  /// sums[query] += the sum of the tile's keys.
  void add_to_sums(const float* tile, std::int64_t count) const {
    for (std::int64_t j = 0; j < count; ++j) {
#pragma omp simd
      for (std::int64_t i = 0; i < query_block; ++i) sums[i] += tile[j * query_block + i];
    }
  }

  /// gradient (+)= tile^T keys; the first tile overwrites.
  void attend(const AlignmentKeys& keys, std::int64_t first, std::int64_t count, const float* tile) const {
    tile_product(query_block, keys.width, count, {tile, 1, query_block}, keys.rows + first * keys.width,
                 keys.width, first > 0, gradient, keys.width);
  }

  /// d_keys (+)= tile queries, for the keys [first, first + count).
  void scatter(const AlignmentKeys& keys, std::int64_t first, std::int64_t count, const float* tile,
               bool accumulate, float* d_keys) const {
    tile_product(count, keys.width, query_block, {tile, query_block, 1}, by_row, keys.width, accumulate,
                 d_keys + first * keys.width, keys.width);
  }
};

}  // namespace sea::cpu
