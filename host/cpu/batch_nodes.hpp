#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/row_blocks.hpp"
#include "sea/backend.hpp"

namespace sea::cpu {

/// Calls `body(node, sources)` for each of the nodes [0, nodes), which users and items are; `sources` are the
/// places of a batch of `count` triples where it stands, in their fixed order, empty outside the batch.
/// Several nodes of `width` columns per block of the pool.
template <class Body>
void for_each_batch_node(ThreadPool& pool, const BatchOrderView& order, std::int64_t count,
                         std::int64_t nodes, std::int64_t width, const Body& body) {
  const std::int32_t* first = order.nodes.data();
  const std::int32_t* last = first + 3 * count;
  const std::int64_t block_rows = rows_per_block(width);
  pool.parallel_for(blocks_of(nodes, block_rows), [&](std::int64_t block, int) {
    const std::int64_t begin = block * block_rows;
    const std::int64_t end = std::min(nodes, begin + block_rows);
    const std::int32_t* next = std::lower_bound(first, last, begin);
    for (std::int64_t node = begin; node < end; ++node) {
      const std::int32_t* start = next;
      while (next != last && *next == node) ++next;
      body(node,
           ConstIndexView(order.sources.data() + (start - first), static_cast<std::size_t>(next - start)));
    }
  });
}

}  // namespace sea::cpu
