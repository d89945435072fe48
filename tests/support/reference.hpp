#pragma once

#include <cstdint>
#include <vector>

#include "sea/buffer.hpp"

namespace sea::test {

/// A matrix of a test: host values with a gap after each row, a device copy, and views of it. The gap is
/// filled with a mark, so that `gap_untouched` tells whether an operator wrote beyond its columns.
class TestMatrix {
 public:
  /// Uniform random values in [-1, 1).
  TestMatrix(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap, std::uint64_t seed);
  /// An output: NaN until written.
  static TestMatrix output(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap);
  /// Given values, row-major without gaps.
  TestMatrix(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap,
             const std::vector<float>& values);

  MatrixView view() const { return {buffer_.data(), rows_, columns_, columns_ + gap_}; }
  VectorView vector() const {
    return {buffer_.data(), static_cast<std::size_t>(rows_ * columns_)};
  }  ///< without gap
  /// The device's present values without the gaps.
  std::vector<float> values() const;
  std::vector<double> doubles() const;
  bool gap_untouched() const;

 private:
  std::int64_t rows_, columns_, gap_;
  Buffer<float> buffer_;
};

/// op(A) op(B) of row-major matrices in double precision: (m x k) (k x n).
std::vector<double> naive_product(const std::vector<double>& a, const std::vector<double>& b, std::int64_t m,
                                  std::int64_t k, std::int64_t n, bool transpose_a = false,
                                  bool transpose_b = false);

/// A X in double precision, of the rows of A by their column numbers: (rows) (.. x width).
std::vector<double> naive_spmm(const std::vector<std::vector<std::int32_t>>& rows,
                               const std::vector<double>& values, const std::vector<double>& x,
                               std::int64_t width);

/// Random rows of length 1.
std::vector<float> unit_rows(std::int64_t rows, std::int64_t columns, std::uint64_t seed);

}  // namespace sea::test
