#pragma once

#include "sea/backend.hpp"
#include "sea/detail/check.hpp"

// What every operator asks of its arguments: a function of the operator's name, which each of its
// implementations calls first. The same words on every backend.
namespace sea::checks {

using detail::require;
using detail::require_shape;
using detail::require_size;

/// Throws Error where `matrix` has not the shape of `shape`.
inline void require_shape(const char* operator_name, const char* argument, ConstMatrixView matrix,
                          ConstMatrixView shape) {
  require_shape(operator_name, argument, matrix, shape.rows, shape.columns);
}

}  // namespace sea::checks
