#pragma once

#include <cstdint>
#include <vector>

#include "sea/buffer.hpp"
#include "sea/philox.hpp"
#include "support/device_csr.hpp"

namespace sea::test {

/// A sparse pattern, its transpose, and which entry of the one is which of the other, on the host and on a
/// backend.
class LearnedPattern {
 public:
  using Rows = std::vector<std::vector<std::int32_t>>;

  LearnedPattern(const Rows& rows_, std::int64_t columns_) : rows(rows_), columns(columns_) {
    transposed.resize(static_cast<std::size_t>(columns_));
    std::vector<std::vector<std::int32_t>> entries(static_cast<std::size_t>(columns_));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const std::int32_t j : rows[i]) {
        transposed[j].push_back(static_cast<std::int32_t>(i));
        entries[j].push_back(static_cast<std::int32_t>(row_of.size()));
        row_of.push_back(static_cast<std::int32_t>(i));
        column_of.push_back(j);
      }
    }
    for (const auto& list : entries) permutation.insert(permutation.end(), list.begin(), list.end());
  }

  std::int64_t entries() const { return static_cast<std::int64_t>(row_of.size()); }

  Rows rows, transposed;
  std::int64_t columns;
  std::vector<std::int32_t> row_of, column_of;  ///< of each entry
  std::vector<std::int32_t> permutation;        ///< of each entry of the transpose, the entry
};

/// Rows of `lengths[i]` distinct columns, at most all of them, in ascending order, drawn at random.
inline LearnedPattern random_pattern(const std::vector<std::int64_t>& lengths, std::int64_t columns,
                                     std::uint64_t seed) {
  LearnedPattern::Rows rows;
  for (const std::int64_t length : lengths) {
    // Of the columns still to be looked at, each is taken with the chance that fills the row.
    std::vector<std::int32_t> row;
    for (std::int64_t j = 0; j < columns; ++j) {
      const auto wanted = static_cast<std::uint32_t>(length - static_cast<std::int64_t>(row.size()));
      const Philox4x32 bits = random_bits(seed, RandomPurpose::synthetic, rows.size(), j);
      if (uniform_below(bits, static_cast<std::uint32_t>(columns - j)) < wanted) {
        row.push_back(static_cast<std::int32_t>(j));
      }
    }
    rows.push_back(row);
  }
  return {rows, columns};
}

}  // namespace sea::test
