#pragma once

#include <vector>

#include "support/bench.hpp"

namespace sea::bench {

/// A learned graph of the items, 20 entries per row as two modalities' ten nearest are, with its transpose.
struct ItemGraph {
  static constexpr std::int64_t row_entries = 20;

  explicit ItemGraph(Case& c) : items(c.size.items), entries(items * row_entries) {
    HostCsr graph, transposed;
    graph.rows = graph.columns = transposed.rows = transposed.columns = items;
    std::vector<std::vector<std::int32_t>> sources(static_cast<std::size_t>(items));
    for (std::int64_t i = 0; i < items; ++i) {
      for (std::int64_t k = 0; k < row_entries; ++k) {
        // Far from the row, as neighbours are, and some items in many rows.
        const std::int64_t j = (i * 37 + k * k * 101 + k) % (k % 4 == 0 ? (items + 9) / 10 : items);
        sources[j].push_back(static_cast<std::int32_t>(graph.column_indices.size()));
        graph.column_indices.push_back(static_cast<std::int32_t>(j));
      }
      graph.row_offsets.push_back(static_cast<std::int64_t>(graph.column_indices.size()));
    }
    graph.values.assign(graph.column_indices.size(), 0.5f);
    std::vector<std::int32_t> order;
    for (const std::vector<std::int32_t>& column : sources) {
      for (const std::int32_t entry : column) {
        order.push_back(entry);
        transposed.column_indices.push_back(static_cast<std::int32_t>(entry / row_entries));
      }
      transposed.row_offsets.push_back(static_cast<std::int64_t>(order.size()));
    }
    transposed.values = graph.values;
    pattern = c.upload(graph);
    transpose = c.upload(transposed);
    permutation = c.indices(entries);
    c.backend.copy_to_device(permutation.data(), order.data(), order.size() * sizeof(std::int32_t));
  }

  std::int64_t items, entries;
  CsrView pattern, transpose;
  IndexView permutation;
};

}  // namespace sea::bench
