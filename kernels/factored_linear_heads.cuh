#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sea/backend.hpp"
#include "sea/detail/linear_heads.hpp"

namespace sea::cuda {

/// The heads of a factored linear layer as a kernel's parameter. Their weights stacked, and zero where a
/// head does not look, are C (outputs x width).
struct StackedHeads {
  static constexpr std::size_t most = sea::detail::most_heads;

  struct Head {
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

  Head head[most];
  int count = 0;
  std::int64_t outputs = 0;
  std::int64_t width = 0;

  /// `width_` is that of the wide layer.
  StackedHeads(std::span<const LinearHead> heads, std::int64_t width_) : width(width_) {
    for (const LinearHead& from : heads) {
      head[count++] = {from.weight, from.bias.data(), from.first_column, outputs};
      outputs += from.weight.rows;
    }
  }

  /// The head that row i of C belongs to.
  SEA_HOST_DEVICE const Head& of_row(std::int64_t i) const {
    int r = 0;
    while (i >= head[r].end_row()) ++r;
    return head[r];
  }
};

}  // namespace sea::cuda
