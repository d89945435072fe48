#pragma once

#include <fmt/format.h>

#include "sea/error.hpp"
#include "sea/matrix.hpp"

namespace sea::cpu {

/// Throws Error with the operator's name and what must hold, where `fits` is false.
inline void require(bool fits, const char* operator_name, const char* what) {
  if (!fits) throw Error(fmt::format("{}: {}", operator_name, what));
}

/// Throws Error with the operator's name and both shapes, where `matrix` is not rows x columns.
inline void require_shape(const char* operator_name, const char* argument, ConstMatrixView matrix,
                          std::int64_t rows, std::int64_t columns) {
  if (matrix.rows != rows || matrix.columns != columns) {
    throw Error(fmt::format("{}: {} is {} x {} and must be {} x {}", operator_name, argument, matrix.rows,
                            matrix.columns, rows, columns));
  }
}

/// Likewise for the length of a vector.
inline void require_size(const char* operator_name, const char* argument, std::size_t size,
                         std::int64_t expected) {
  if (static_cast<std::int64_t>(size) != expected) {
    throw Error(
        fmt::format("{}: {} has {} elements and must have {}", operator_name, argument, size, expected));
  }
}

}  // namespace sea::cpu
