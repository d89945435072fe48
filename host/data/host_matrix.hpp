#pragma once

#include <cstdint>
#include <vector>

#include "sea/backend.hpp"

namespace sea {

/// A row-major matrix in host memory that owns its numbers.
struct HostMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> values;

  HostMatrix() = default;
  HostMatrix(std::int64_t rows_, std::int64_t columns_)
      : rows(rows_), columns(columns_), values(static_cast<std::size_t>(rows_ * columns_)) {}
  MatrixView view() { return {values.data(), rows, columns}; }
  ConstMatrixView view() const { return {values.data(), rows, columns}; }
};

/// A copy of a matrix in device memory.
inline HostMatrix to_host(Backend& backend, ConstMatrixView view) {
  HostMatrix matrix(view.rows, view.columns);
  const auto row_bytes = static_cast<std::size_t>(view.columns) * sizeof(float);
  if (view.contiguous()) {  // a copy waits for the device: one, not one per row
    backend.copy_to_host(matrix.values.data(), view.data, static_cast<std::size_t>(view.rows) * row_bytes);
    return matrix;
  }
  for (std::int64_t row = 0; row < view.rows; ++row) {
    backend.copy_to_host(matrix.view().row(row), view.row(row), row_bytes);
  }
  return matrix;
}

/// A sparse matrix or pattern in host memory that owns its numbers; `values` is empty for a pattern.
struct HostCsr {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<std::int64_t> row_offsets{0};
  std::vector<std::int32_t> column_indices;
  std::vector<float> values;

  std::int64_t nonzeros() const { return static_cast<std::int64_t>(column_indices.size()); }
  CsrPatternView pattern() const { return {rows, columns, row_offsets.data(), column_indices.data()}; }
  CsrView view() const { return {pattern(), values.data()}; }
  /// The ids of row i, ascending.
  ConstIndexView row(std::int64_t i) const {
    return ConstIndexView(column_indices)
        .subspan(static_cast<std::size_t>(row_offsets[i]),
                 static_cast<std::size_t>(row_offsets[i + 1] - row_offsets[i]));
  }
};

}  // namespace sea
