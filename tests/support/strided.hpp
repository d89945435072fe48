#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sea/buffer.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

namespace sea::test {

/// A matrix on a backend whose rows lie further apart than they are long. An operator that reads the gaps of
/// an input gets NaN; one that writes the gaps of an output is caught by `values`.
class StridedMatrix {
 public:
  /// An input; `values` are its rows without gaps.
  StridedMatrix(Backend& backend, const std::vector<float>& values, std::int64_t rows, std::int64_t columns,
                std::int64_t gap = 3)
      : rows_(rows), columns_(columns), leading_(columns + gap) {
    std::vector<float> all(static_cast<std::size_t>(rows * leading_),
                           std::numeric_limits<float>::quiet_NaN());
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy_n(values.begin() + i * columns, columns, all.begin() + i * leading_);
    }
    buffer_ = to_device(backend, all);
  }
  /// An output, all NaN.
  StridedMatrix(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap = 3)
      : StridedMatrix(backend,
                      std::vector<float>(static_cast<std::size_t>(rows * columns),
                                         std::numeric_limits<float>::quiet_NaN()),
                      rows, columns, gap) {}

  MatrixView view() const { return {buffer_.data(), rows_, columns_, leading_}; }

  /// The rows without gaps; fails the test where a gap has been written.
  std::vector<float> values() const {
    const std::vector<float> all = buffer_.download();
    std::vector<float> rows;
    bool untouched = true;
    for (std::int64_t i = 0; i < rows_; ++i) {
      const auto row = all.begin() + i * leading_;
      rows.insert(rows.end(), row, row + columns_);
      untouched = untouched && std::all_of(row + columns_, row + leading_, [](float x) { return x != x; });
    }
    CHECK(untouched);
    return rows;
  }

 private:
  std::int64_t rows_, columns_, leading_;
  Buffer<float> buffer_;
};

}  // namespace sea::test
