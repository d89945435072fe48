#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "sea/host_device.hpp"

namespace sea {

/// A row-major matrix in somebody else's memory, host or device: element (i, j) is
/// `data[i * leading_dimension + j]`. The leading dimension, at least `columns`, makes a range of columns a
/// view, so that concatenating and splitting cost nothing.
template <class T>
struct BasicMatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t leading_dimension = 0;

  BasicMatrixView() = default;
  SEA_HOST_DEVICE BasicMatrixView(T* data_, std::int64_t rows_, std::int64_t columns_)
      : BasicMatrixView(data_, rows_, columns_, columns_) {}
  SEA_HOST_DEVICE BasicMatrixView(T* data_, std::int64_t rows_, std::int64_t columns_,
                                  std::int64_t leading_dimension_)
      : data(data_), rows(rows_), columns(columns_), leading_dimension(leading_dimension_) {}

  /// A view that may be written converts to one that may only be read.
  template <class U>
  requires(std::is_const_v<T>&& std::is_same_v<U, std::remove_const_t<T>>) SEA_HOST_DEVICE
      BasicMatrixView(const BasicMatrixView<U>& other)
      : BasicMatrixView(other.data, other.rows, other.columns, other.leading_dimension) {}

  SEA_HOST_DEVICE T* row(std::int64_t i) const { return data + i * leading_dimension; }
  SEA_HOST_DEVICE T& operator()(std::int64_t i, std::int64_t j) const {
    return data[i * leading_dimension + j];
  }

  /// Rows [first, first + count).
  SEA_HOST_DEVICE BasicMatrixView row_range(std::int64_t first, std::int64_t count) const {
    return {data + first * leading_dimension, count, columns, leading_dimension};
  }
  /// Columns [first, first + count).
  SEA_HOST_DEVICE BasicMatrixView column_range(std::int64_t first, std::int64_t count) const {
    return {data + first, rows, count, leading_dimension};
  }
  SEA_HOST_DEVICE std::int64_t size() const { return rows * columns; }
  SEA_HOST_DEVICE bool empty() const { return rows == 0 || columns == 0; }
  /// True where rows follow each other without a gap.
  SEA_HOST_DEVICE bool contiguous() const { return leading_dimension == columns || rows <= 1; }
};

using MatrixView = BasicMatrixView<float>;
using ConstMatrixView = BasicMatrixView<const float>;

using VectorView = std::span<float>;
using ConstVectorView = std::span<const float>;
using IndexView = std::span<std::int32_t>;
using ConstIndexView = std::span<const std::int32_t>;

/// The places of a sparse matrix's entries, compressed by rows: row i holds
/// `column_indices[row_offsets[i] .. row_offsets[i + 1])`. `row_offsets` has `rows + 1` entries and need not
/// start at 0, so that a range of rows is a view.
struct CsrPatternView {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  const std::int64_t* row_offsets = nullptr;
  const std::int32_t* column_indices = nullptr;

  /// Rows [first, first + count).
  CsrPatternView row_range(std::int64_t first, std::int64_t count) const {
    return {count, columns, row_offsets + first, column_indices};
  }
};

/// A sparse matrix, compressed by rows. `values` lies parallel to `column_indices`.
struct CsrView : CsrPatternView {
  const float* values = nullptr;
};

}  // namespace sea
