#pragma once

#include <span>

#include "sea/detail/checks/common.hpp"
#include "sea/detail/linear_heads.hpp"

// What the operators of "dense" ask of their arguments.
namespace sea::checks {

inline void matmul(Transpose transpose_a, Transpose transpose_b, ConstMatrixView a, ConstMatrixView b,
                   ConstMatrixView c) {
  const bool flip_a = transpose_a == Transpose::yes, flip_b = transpose_b == Transpose::yes;
  const std::int64_t k = flip_a ? a.rows : a.columns;
  require_shape("matmul", "a", a, flip_a ? k : c.rows, flip_a ? c.rows : k);
  require_shape("matmul", "b", b, flip_b ? c.columns : k, flip_b ? k : c.columns);
}

inline void add(ConstMatrixView a, ConstMatrixView b, ConstMatrixView y) {
  require_shape("add", "b", b, a);
  require_shape("add", "y", y, a);
}

inline void scale(ConstMatrixView x, ConstMatrixView y) {
  require_shape("scale", "y", y, x);
}

inline void linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias, ConstMatrixView y) {
  const char* name = "linear";
  require_shape(name, "weight", weight, weight.rows, x.columns);
  require_shape(name, "y", y, x.rows, weight.rows);
  require_size(name, "bias", bias.size(), weight.rows);
}

inline void linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy, ConstMatrixView dx,
                            ConstMatrixView dweight, ConstVectorView dbias) {
  const char* name = "linear_backward";
  require_shape(name, "weight", weight, weight.rows, x.columns);
  require_shape(name, "dy", dy, x.rows, weight.rows);
  require_shape(name, "dweight", dweight, weight);
  require_size(name, "dbias", dbias.size(), weight.rows);
  if (!dx.empty()) require_shape(name, "dx", dx, x);
}

/// The number of the heads' outputs.
inline std::int64_t linear_heads(const char* name, std::span<const LinearHead> heads, std::int64_t width) {
  require(!heads.empty() && heads.size() <= detail::most_heads, name, "1 to 16 heads are allowed");
  for (const LinearHead& head : heads) {
    require(head.first_column >= 0 && head.first_column + head.weight.columns <= width, name,
            "a head looks beyond the layer's columns");
    require_size(name, "a head's bias", head.bias.size(), head.weight.rows);
  }
  return detail::output_count(heads);
}

inline void factored_linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                            std::span<const LinearHead> heads, ConstMatrixView m, ConstMatrixView y) {
  const char* name = "factored_linear";
  const std::int64_t outputs = linear_heads(name, heads, weight.rows);
  require_shape(name, "weight", weight, weight.rows, x.columns);
  require_size(name, "bias", bias.size(), weight.rows);
  require_shape(name, "m", m, outputs, x.columns);
  require_shape(name, "y", y, x.rows, outputs);
}

inline void factored_linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                                     std::span<const LinearHead> heads, ConstMatrixView dy,
                                     ConstMatrixView dm, std::span<const LinearHeadGradient> gradients,
                                     ConstVectorView dbias) {
  const char* name = "factored_linear_backward";
  const std::int64_t outputs = linear_heads(name, heads, weight.rows);
  require_shape(name, "weight", weight, weight.rows, x.columns);
  require_size(name, "bias", bias.size(), weight.rows);
  require_shape(name, "dy", dy, x.rows, outputs);
  require_shape(name, "dm", dm, outputs, x.columns);
  require_size(name, "gradients", gradients.size(), static_cast<std::int64_t>(heads.size()));
  for (std::size_t r = 0; r < heads.size(); ++r) {
    const ConstMatrixView shape = heads[r].weight;
    require_shape(name, "a head's gradient", gradients[r].weight, shape);
    require_size(name, "a head's bias gradient", gradients[r].bias.size(), shape.rows);
  }
  require_size(name, "dbias", dbias.size(), weight.rows);
}

inline void factored_linear_weight_gradient(std::span<const LinearHead> heads, ConstMatrixView dm,
                                            ConstMatrixView dweight) {
  const char* name = "factored_linear_weight_gradient";
  require_shape(name, "dm", dm, linear_heads(name, heads, dweight.rows), dweight.columns);
}

inline void factored_linear_update(std::span<const LinearHead> heads, ConstMatrixView dm,
                                   ConstMatrixView weight, ConstMatrixView first_moment,
                                   ConstMatrixView second_moment) {
  const char* name = "factored_linear_update";
  require_shape(name, "dm", dm, linear_heads(name, heads, weight.rows), weight.columns);
  require_shape(name, "first_moment", first_moment, weight);
  require_shape(name, "second_moment", second_moment, weight);
}

inline void leaky_relu(ConstMatrixView x, ConstMatrixView y) {
  require_shape("leaky_relu", "y", y, x);
}
inline void leaky_relu_backward(ConstMatrixView y, ConstMatrixView dy, float slope, ConstMatrixView dx) {
  require_shape("leaky_relu_backward", "dy", dy, y);
  require_shape("leaky_relu_backward", "dx", dx, y);
  require(slope >= 0.0f, "leaky_relu_backward", "the slope must not be negative");
}

inline void batch_norm(ConstMatrixView x, ConstVectorView scale, ConstVectorView shift, ConstVectorView mean,
                       ConstVectorView inverse_deviation, ConstMatrixView y) {
  const char* name = "batch_norm";
  require_shape(name, "y", y, x);
  require_size(name, "scale", scale.size(), x.columns);
  require_size(name, "shift", shift.size(), x.columns);
  require_size(name, "mean", mean.size(), x.columns);
  require_size(name, "inverse_deviation", inverse_deviation.size(), x.columns);
  require(x.rows > 0, name, "at least one row is needed");
}

inline void batch_norm_backward(ConstMatrixView x, ConstMatrixView y, ConstMatrixView dy,
                                ConstVectorView scale, ConstVectorView mean,
                                ConstVectorView inverse_deviation, bool relu, ConstMatrixView dx,
                                ConstVectorView dscale, ConstVectorView dshift) {
  const char* name = "batch_norm_backward";
  if (relu) require_shape(name, "y", y, x);
  require_shape(name, "dy", dy, x);
  require_shape(name, "dx", dx, x);
  require_size(name, "scale", scale.size(), x.columns);
  require_size(name, "mean", mean.size(), x.columns);
  require_size(name, "inverse_deviation", inverse_deviation.size(), x.columns);
  require_size(name, "dscale", dscale.size(), x.columns);
  require_size(name, "dshift", dshift.size(), x.columns);
  require(x.rows > 0, name, "at least one row is needed");
}

inline void batch_norm_double_backward(ConstMatrixView x, ConstMatrixView dy, ConstMatrixView g,
                                       ConstVectorView scale, ConstVectorView mean,
                                       ConstVectorView inverse_deviation, ConstMatrixView ddy,
                                       ConstMatrixView dx, ConstVectorView dscale) {
  const char* name = "batch_norm_double_backward";
  require_shape(name, "dy", dy, x);
  require_shape(name, "g", g, x);
  require_shape(name, "ddy", ddy, x);
  require_shape(name, "dx", dx, x);
  require_size(name, "scale", scale.size(), x.columns);
  require_size(name, "mean", mean.size(), x.columns);
  require_size(name, "inverse_deviation", inverse_deviation.size(), x.columns);
  require_size(name, "dscale", dscale.size(), x.columns);
  require(x.rows > 0, name, "at least one row is needed");
}

inline void row_normalize(ConstMatrixView x, ConstMatrixView y, ConstVectorView inverse_norms) {
  require_shape("row_normalize", "y", y, x);
  require_size("row_normalize", "inverse_norms", inverse_norms.size(), x.rows);
}
inline void row_normalize_backward(ConstMatrixView y, ConstVectorView inverse_norms, ConstMatrixView dy,
                                   ConstMatrixView dx) {
  const char* name = "row_normalize_backward";
  require_size(name, "inverse_norms", inverse_norms.size(), y.rows);
  require_shape(name, "dy", dy, y);
  require_shape(name, "dx", dx, y);
}

inline void cosine_scale(ConstMatrixView x, ConstMatrixView e, ConstMatrixView y) {
  require_shape("cosine_scale", "e", e, x);
  require_shape("cosine_scale", "y", y, x);
}
inline void cosine_scale_backward(ConstMatrixView x, ConstMatrixView e, ConstMatrixView dy,
                                  ConstMatrixView dx, ConstMatrixView de) {
  const char* name = "cosine_scale_backward";
  require_shape(name, "e", e, x);
  require_shape(name, "dy", dy, x);
  require_shape(name, "dx", dx, x);
  require_shape(name, "de", de, x);
}

}  // namespace sea::checks
