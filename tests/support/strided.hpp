#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "sea/buffer.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

namespace sea::test {

/// How the rows of a matrix lie: elements between two of them, and before the first one.
struct Layout {
  std::int64_t gap = 3, margin = 0;
};

/// Rows with and without gaps, aligned to four floats and not. The first columns of a wider matrix, its last
/// ones, and whole ones.
inline constexpr Layout layouts[] = {{0, 0}, {4, 0}, {8, 0}, {3, 0}, {5, 1}, {0, 4}, {8, 4}};

/// How many there have been in this run of `for_each_backend`.
inline std::uint32_t strided_matrices = 0;

/// A matrix on a backend whose rows lie further apart than they are long. An operator that reads the gaps of
/// an input gets NaN; one that writes any is caught by `values`.
class StridedMatrix {
 public:
  /// An input; `values` are its rows without gaps.
  StridedMatrix(Backend& backend, const std::vector<float>& values, std::int64_t rows, std::int64_t columns,
                std::int64_t gap = 3)
      : StridedMatrix(backend, values, rows, columns, Layout{gap}) {}
  StridedMatrix(Backend& backend, const std::vector<float>& values, std::int64_t rows, std::int64_t columns,
                Layout layout)
      : rows_(rows),
        columns_(columns),
        margin_(layout.margin),
        leading_(layout.margin + columns + layout.gap) {
    std::vector<float> all(static_cast<std::size_t>(rows * leading_), gap_);
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy_n(values.begin() + i * columns, columns, all.begin() + i * leading_ + margin_);
    }
    buffer_ = to_device(backend, all);
  }
  /// An output, all NaN.
  StridedMatrix(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap = 3)
      : StridedMatrix(backend, rows, columns, Layout{gap}) {}
  StridedMatrix(Backend& backend, std::int64_t rows, std::int64_t columns, Layout layout)
      : StridedMatrix(backend,
                      std::vector<float>(static_cast<std::size_t>(rows * columns),
                                         std::numeric_limits<float>::quiet_NaN()),
                      rows, columns, layout) {}

  MatrixView view() const { return {buffer_.data() + margin_, rows_, columns_, leading_}; }

  /// The rows without gaps; fails the test where a gap has been written.
  std::vector<float> values() const {
    const std::vector<float> all = buffer_.download();
    std::vector<float> rows;
    bool untouched = true;
    for (std::int64_t i = 0; i < rows_; ++i) {
      const auto row = all.begin() + i * leading_, first = row + margin_, last = first + columns_;
      const auto is_gap = [&](const float& x) { return std::memcmp(&x, &gap_, sizeof(float)) == 0; };
      rows.insert(rows.end(), first, last);
      untouched = untouched && std::all_of(row, first, is_gap) && std::all_of(last, row + leading_, is_gap);
    }
    CHECK(untouched);
    return rows;
  }

 private:
  /// A NaN that no other matrix has in its gaps: what is computed from those of another one is seen too.
  static float next_gap() {
    const std::uint32_t bits = 0x7FC00000u | (++strided_matrices & 0x3FFFFFu);
    float gap = 0.0f;
    std::memcpy(&gap, &bits, sizeof gap);
    return gap;
  }

  float gap_ = next_gap();
  std::int64_t rows_, columns_, margin_, leading_;
  Buffer<float> buffer_;
};

}  // namespace sea::test
