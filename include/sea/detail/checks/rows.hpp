#pragma once

#include "sea/detail/checks/steps.hpp"

// What the operators of "elementwise and rows" ask of their arguments, and modality_weight.
namespace sea::checks {

inline void multiply(ConstMatrixView a, ConstMatrixView b, ConstMatrixView y) {
  require_shape("multiply", "b", b, a);
  require_shape("multiply", "y", y, a);
}

inline void activate(ConstMatrixView x, ConstMatrixView y) {
  require_shape("activate", "y", y, x);
}
inline void activate_backward(ConstMatrixView y, ConstMatrixView dy, ConstMatrixView dx) {
  require_shape("activate_backward", "dy", dy, y);
  require_shape("activate_backward", "dx", dx, y);
}

inline void softmax(ConstMatrixView x, ConstMatrixView y) {
  require_shape("softmax", "y", y, x);
}
inline void softmax_backward(ConstMatrixView y, ConstMatrixView dy, ConstMatrixView dx) {
  require_shape("softmax_backward", "dy", dy, y);
  require_shape("softmax_backward", "dx", dx, y);
}

inline void dropout_mask(float probability) {
  require(probability >= 0.0f && probability < 1.0f, "dropout_mask",
          "the probability must be at least 0 and below 1");
}

inline void gather_rows(ConstMatrixView x, ConstIndexView index, ConstMatrixView y) {
  require_shape("gather_rows", "y", y, static_cast<std::int64_t>(index.size()), x.columns);
}
inline void gather_rows_backward(ConstMatrixView dy, const BatchOrderView& order, ConstMatrixView dx) {
  require_shape("gather_rows_backward", "dx", dx, dx.rows, dy.columns);
  batch_order("gather_rows_backward", order, dy.rows);
}

inline void matrix_norm(ConstMatrixView x, double divisor, ConstMatrixView dx) {
  const char* name = "matrix_norm";
  require_shape(name, "dx", dx, x);
  require(!x.empty(), name, "there must be a row and a column");
  require(divisor > 0.0, name, "the divisor must be positive");
}

inline void reduce(ConstMatrixView x, ConstMatrixView dx) {
  require_shape("reduce", "dx", dx, x);
  require(!x.empty(), "reduce", "there must be a row and a column");
}

inline void row_dot(ConstMatrixView a, ConstMatrixView b, ConstMatrixView y) {
  require_shape("row_dot", "b", b, a.rows, y.columns * a.columns);
  require_shape("row_dot", "y", y, a.rows, y.columns);
}
inline void row_dot_backward(ConstMatrixView a, ConstMatrixView b, ConstMatrixView dy, ConstMatrixView da,
                             ConstMatrixView db) {
  const char* name = "row_dot_backward";
  require_shape(name, "b", b, a.rows, dy.columns * a.columns);
  require_shape(name, "dy", dy, a.rows, dy.columns);
  if (!da.empty()) require_shape(name, "da", da, a);
  if (!db.empty()) require_shape(name, "db", db, b);
}

inline void history_rows(const CsrPatternView& history, ConstIndexView users, ConstMatrixView y) {
  require_shape("history_rows", "y", y, static_cast<std::int64_t>(users.size()), history.columns);
}

inline void weighted_blocks(const char* name, ConstMatrixView x, ConstMatrixView weight) {
  require(weight.rows == x.rows, name, "weight must have a row for each row of x");
  require(weight.columns > 0 && x.columns % weight.columns == 0, name,
          "the columns of weight must divide those of x");
}

inline void modality_weight(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView y) {
  weighted_blocks("modality_weight", x, weight);
  require_shape("modality_weight", "y", y, x);
}
inline void modality_weight_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy,
                                     ConstMatrixView dx, ConstMatrixView dweight) {
  const char* name = "modality_weight_backward";
  weighted_blocks(name, x, weight);
  require_shape(name, "dy", dy, x);
  require_shape(name, "dx", dx, x);
  require_shape(name, "dweight", dweight, weight);
}

}  // namespace sea::checks
