#pragma once

#include <cstdint>
#include <span>

#include "sea/buffer.hpp"
#include "sea/detail/check.hpp"

namespace sea {

/// A sparse matrix (or, without values, a pattern) in a backend's memory that owns its arrays.
class DeviceCsr {
 public:
  DeviceCsr() = default;
  /// Copies host arrays: rows + 1 `row_offsets`, and `values` parallel to `column_indices` or empty. Throws
  /// Error where the sizes are others.
  DeviceCsr(Backend& backend, std::int64_t rows, std::int64_t columns,
            std::span<const std::int64_t> row_offsets, std::span<const std::int32_t> column_indices,
            std::span<const float> values)
      : rows_(rows),
        columns_(columns),
        row_offsets_(backend, static_cast<std::int64_t>(row_offsets.size())),
        column_indices_(backend, static_cast<std::int64_t>(column_indices.size())),
        values_(backend, static_cast<std::int64_t>(values.size())) {
    detail::require_size("DeviceCsr", "row_offsets", row_offsets.size(), rows + 1);
    if (!values.empty()) detail::require_size("DeviceCsr", "values", values.size(), column_indices_.size());
    upload(row_offsets, column_indices, values);
  }

  /// Other contents of the same sizes, at the same addresses.
  void upload(std::span<const std::int64_t> row_offsets, std::span<const std::int32_t> column_indices,
              std::span<const float> values) {
    detail::require_size("DeviceCsr", "row_offsets", row_offsets.size(), row_offsets_.size());
    detail::require_size("DeviceCsr", "column_indices", column_indices.size(), column_indices_.size());
    detail::require_size("DeviceCsr", "values", values.size(), values_.size());
    row_offsets_.upload(row_offsets);
    column_indices_.upload(column_indices);
    values_.upload(values);
  }

  /// Entries that it has room for.
  std::int64_t capacity() const { return column_indices_.size(); }
  CsrPatternView pattern() const { return {rows_, columns_, row_offsets_.data(), column_indices_.data()}; }
  /// `values` is null where there are none.
  CsrView view() const { return {pattern(), values_.size() > 0 ? values_.data() : nullptr}; }

 private:
  std::int64_t rows_ = 0, columns_ = 0;
  Buffer<std::int64_t> row_offsets_;
  Buffer<std::int32_t> column_indices_;
  Buffer<float> values_;
};

}  // namespace sea
