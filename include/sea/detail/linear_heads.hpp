#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sea/backend.hpp"

// The heads of a factored linear layer. C (outputs x width) stacks their weights, and is zero where a
// head does not look.
namespace sea::detail {

inline constexpr std::size_t most_heads = 16;

/// Rows of C.
inline std::int64_t output_count(std::span<const LinearHead> heads) {
  std::int64_t outputs = 0;
  for (const LinearHead& head : heads) outputs += head.weight.rows;
  return outputs;
}

/// A range of the wide layer's columns between two neighbouring borders of heads, and the range of C's rows
/// that covers every head which looks at it, none where nobody does. What C holds outside such blocks is
/// zero, and no product touches it.
struct HeadSegment {
  std::int64_t first_column, columns;
  std::int64_t first_row, rows;
};

/// Calls `body` for each segment of the `width` columns, from the left.
template <class Body>
void for_each_segment(std::span<const LinearHead> heads, std::int64_t width, const Body& body) {
  const auto end_of = [](const LinearHead& head) { return head.first_column + head.weight.columns; };
  std::array<std::int64_t, 2 * most_heads + 2> borders{0, width};
  std::size_t border_count = 2;
  for (const LinearHead& head : heads) {
    borders[border_count++] = head.first_column;
    borders[border_count++] = end_of(head);
  }
  std::sort(borders.begin(), borders.begin() + border_count);
  for (std::size_t b = 0; b + 1 < border_count; ++b) {
    if (borders[b] == borders[b + 1]) continue;
    HeadSegment segment{borders[b], borders[b + 1] - borders[b], 0, 0};
    std::int64_t row = 0, end = 0;
    for (const LinearHead& head : heads) {
      if (head.first_column <= borders[b] && borders[b] < end_of(head)) {
        if (end == 0) segment.first_row = row;
        end = row + head.weight.rows;
      }
      row += head.weight.rows;
    }
    if (end > 0) segment.rows = end - segment.first_row;
    body(segment);
  }
}

}  // namespace sea::detail
