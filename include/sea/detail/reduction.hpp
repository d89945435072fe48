#pragma once

#include <cmath>

#include "sea/backend.hpp"

namespace sea::detail {

/// A term of a sum and its derivative: by the element, or as a multiple of the row.
struct Term {
  double value, slope;
};

/// What the sum of all terms is divided by, see Backend::reduce.
SEA_HOST_DEVICE inline double reduction_divisor(Reduction reduction, std::int64_t rows, std::int64_t width) {
  if (reduction == Reduction::mean) return static_cast<double>(rows) * static_cast<double>(width);
  return reduction == Reduction::unit_norm_gap ? static_cast<double>(rows) : 1.0;
}

SEA_HOST_DEVICE inline Term element_term(Reduction reduction, double x) {
  if (reduction == Reduction::mean) return {x, 1.0};
  const double sign = reduction == Reduction::softplus ? 1.0 : -1.0, at = sign * x;
  const double small = std::exp(-std::fabs(at));
  // log(1 + e^x) = max(x, 0) + log(1 + e^-|x|).
  return {(at > 0.0 ? at : 0.0) + std::log1p(small), sign * (at >= 0.0 ? 1.0 : small) / (1.0 + small)};
}

/// (norm - 1)^2 from a row's sum of squares.
SEA_HOST_DEVICE inline Term unit_norm_gap(double squares) {
  const double norm = std::sqrt(squares);
  return {(norm - 1.0) * (norm - 1.0), norm == 0.0 ? 0.0 : 2.0 * (1.0 - 1.0 / norm)};
}

}  // namespace sea::detail
