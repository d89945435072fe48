#pragma once

#include <cmath>

#include "sea/backend.hpp"

namespace sea::detail {

/// A norm and its gradient, as a multiple of the matrix.
struct NormOfSquares {
  double value, slope;
};

/// From the sum of the squares of `elements` elements; see Backend::matrix_norm.
SEA_HOST_DEVICE inline NormOfSquares norm_of_squares(MatrixNorm norm, double squares, std::int64_t elements,
                                                     double divisor) {
  if (norm == MatrixNorm::frobenius) {
    const double length = std::sqrt(squares);
    return {length / divisor, length == 0.0 ? 0.0 : 1.0 / (length * divisor)};
  }
  if (norm == MatrixNorm::half_squares) return {squares / (2.0 * divisor), 1.0 / divisor};
  const double scale = 1.0 / (static_cast<double>(elements) * divisor);
  return {squares * scale, 2.0 * scale};
}

}  // namespace sea::detail
