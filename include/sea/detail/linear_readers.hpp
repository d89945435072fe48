#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sea/backend.hpp"

// The readers of a factored linear layer. C (outputs x width) stacks their weights, and is zero where a
// reader does not look.
namespace sea::detail {

inline constexpr std::size_t most_readers = 16;

/// Rows of C.
inline std::int64_t output_count(std::span<const LinearReader> readers) {
  std::int64_t outputs = 0;
  for (const LinearReader& reader : readers) outputs += reader.weight.rows;
  return outputs;
}

/// A range of the wide layer's columns between two neighbouring borders of readers, and the range of C's rows
/// that covers every reader which looks at it, none where nobody does. What C holds outside such blocks is
/// zero, and no product touches it.
struct ReaderSegment {
  std::int64_t first_column, columns;
  std::int64_t first_row, rows;
};

/// Calls `body` for each segment of the `width` columns, from the left.
template <class Body>
void for_each_segment(std::span<const LinearReader> readers, std::int64_t width, const Body& body) {
  const auto end_of = [](const LinearReader& reader) { return reader.first_column + reader.weight.columns; };
  std::array<std::int64_t, 2 * most_readers + 2> borders{0, width};
  std::size_t border_count = 2;
  for (const LinearReader& reader : readers) {
    borders[border_count++] = reader.first_column;
    borders[border_count++] = end_of(reader);
  }
  std::sort(borders.begin(), borders.begin() + border_count);
  for (std::size_t b = 0; b + 1 < border_count; ++b) {
    if (borders[b] == borders[b + 1]) continue;
    ReaderSegment segment{borders[b], borders[b + 1] - borders[b], 0, 0};
    std::int64_t row = 0, end = 0;
    for (const LinearReader& reader : readers) {
      if (reader.first_column <= borders[b] && borders[b] < end_of(reader)) {
        if (end == 0) segment.first_row = row;
        end = row + reader.weight.rows;
      }
      row += reader.weight.rows;
    }
    if (end > 0) segment.rows = end - segment.first_row;
    body(segment);
  }
}

}  // namespace sea::detail
