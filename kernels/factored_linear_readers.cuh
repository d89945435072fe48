#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/check.cuh"
#include "sea/backend.hpp"

namespace sea::cuda {

/// The readers of a factored linear layer as a kernel's parameter. Their weights stacked, and zero where a
/// reader does not look, are C (outputs x width).
struct StackedReaders {
  static constexpr int most = 16;

  struct Reader {
    ConstMatrixView weight;
    const float* bias;
    std::int64_t first_column;
    std::int64_t first_row;  ///< of C

    SEA_HOST_DEVICE std::int64_t end_column() const { return first_column + weight.columns; }
    SEA_HOST_DEVICE std::int64_t end_row() const { return first_row + weight.rows; }
    SEA_HOST_DEVICE bool looks_at(std::int64_t column) const {
      return first_column <= column && column < end_column();
    }
  };

  Reader reader[most];
  int count = 0;
  std::int64_t outputs = 0;
  std::int64_t width = 0;

  /// `width_` is that of the wide layer.
  StackedReaders(const char* name, std::span<const LinearReader> readers, std::int64_t width_)
      : width(width_) {
    require(!readers.empty() && readers.size() <= most, name, "1 to 16 readers are allowed");
    for (const LinearReader& from : readers) {
      Reader& to = reader[count++];
      to = {from.weight, from.bias.data(), from.first_column, outputs};
      require(to.first_column >= 0 && to.end_column() <= width, name,
              "a reader looks beyond the layer's columns");
      require_size(name, "a reader's bias", from.bias.size(), from.weight.rows);
      outputs += from.weight.rows;
    }
  }

  /// The reader that row i of C belongs to.
  SEA_HOST_DEVICE const Reader& of_row(std::int64_t i) const {
    int r = 0;
    while (i >= reader[r].end_row()) ++r;
    return reader[r];
  }
};

/// A range of the wide layer's columns between two neighbouring borders of readers, and the range of C's rows
/// that covers every reader which looks at it. What C holds outside such blocks is zero, and no product
/// touches it.
struct ReaderSegment {
  std::int64_t first_column, columns;
  std::int64_t first_row, rows;
};

/// Calls `body` for each segment that somebody looks at.
template <class Body>
void for_each_segment(const StackedReaders& readers, const Body& body) {
  std::array<std::int64_t, 2 * StackedReaders::most> borders{};
  std::size_t border_count = 0;
  for (int r = 0; r < readers.count; ++r) {
    borders[border_count++] = readers.reader[r].first_column;
    borders[border_count++] = readers.reader[r].end_column();
  }
  std::sort(borders.begin(), borders.begin() + border_count);
  for (std::size_t b = 0; b + 1 < border_count; ++b) {
    if (borders[b] == borders[b + 1]) continue;
    std::int64_t begin = readers.outputs, end = 0;
    for (int r = 0; r < readers.count; ++r) {
      if (!readers.reader[r].looks_at(borders[b])) continue;
      begin = std::min(begin, readers.reader[r].first_row);
      end = std::max(end, readers.reader[r].end_row());
    }
    if (begin < end) body(ReaderSegment{borders[b], borders[b + 1] - borders[b], begin, end - begin});
  }
}

}  // namespace sea::cuda
