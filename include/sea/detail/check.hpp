#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "sea/error.hpp"
#include "sea/matrix.hpp"

// What every operator asks of its arguments, in the same words on every backend.
namespace sea::detail {

/// Throws Error with the operator's name and what must hold, where `fits` is false.
inline void require(bool fits, const char* operator_name, const char* what) {
  if (!fits) throw Error(std::string(operator_name) + ": " + what);
}

/// Throws Error with the operator's name and both shapes, where `matrix` is not rows x columns.
inline void require_shape(const char* operator_name, const char* argument, ConstMatrixView matrix,
                          std::int64_t rows, std::int64_t columns) {
  if (matrix.rows == rows && matrix.columns == columns) return;
  throw Error(std::string(operator_name) + ": " + argument + " is " + std::to_string(matrix.rows) + " x " +
              std::to_string(matrix.columns) + " and must be " + std::to_string(rows) + " x " +
              std::to_string(columns));
}

/// Likewise for the length of a vector.
inline void require_size(const char* operator_name, const char* argument, std::size_t size,
                         std::int64_t expected) {
  if (static_cast<std::int64_t>(size) == expected) return;
  throw Error(std::string(operator_name) + ": " + argument + " has " + std::to_string(size) +
              " elements and must have " + std::to_string(expected));
}

}  // namespace sea::detail
