#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"

namespace sea::cpu {

/// Rows in a block of about 16,384 elements, at least 1: a size that depends on the shape alone.
constexpr std::int64_t rows_per_block(std::int64_t columns) {
  return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, columns));
}

/// Calls `body(row)` for every row, several rows per block of the pool.
template <class Body>
void for_each_row(ThreadPool& pool, std::int64_t rows, std::int64_t columns, const Body& body) {
  const std::int64_t block_rows = rows_per_block(columns);
  pool.parallel_for(blocks_of(rows, block_rows), [&](std::int64_t block, int) {
    const std::int64_t end = std::min(rows, (block + 1) * block_rows);
    for (std::int64_t row = block * block_rows; row < end; ++row) body(row);
  });
}

}  // namespace sea::cpu
