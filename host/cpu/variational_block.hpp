#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/tile_product.hpp"
#include "sea/backend.hpp"
#include "sea/fast_exp.hpp"

// The variational network q of CLUB on a block of rows, laid out by features: element (feature j, row r) of a
// block is `data[j * q_rows + r]`. Rows fill the vector lanes, so that one code serves every width and every
// number of hidden units, without a remainder but that of the rows.

namespace sea::cpu {

/// Rows of a block.
inline constexpr std::int64_t q_rows = 128;
static_assert(q_rows % simd_lanes == 0);

/// The eight arrays of q within its parameters, in their order.
struct QNetwork {
  std::int64_t width, hidden;
  const float *w1, *b1, *w2, *b2, *w3, *b3, *w4, *b4;

  QNetwork(std::int64_t width_, std::int64_t hidden_, const float* parameters)
      : width(width_), hidden(hidden_), w1(parameters) {
    b1 = w1 + hidden * width;
    w2 = b1 + hidden;
    b2 = w2 + width * hidden;
    w3 = b2 + width;
    b3 = w3 + hidden * width;
    w4 = b3 + hidden;
    b4 = w4 + width * hidden;
  }
};

/// The activations of a block of rows. The gradients of the two outputs take the outputs' places, those of
/// the hidden layers lie beside them.
struct QActivations {
  float* mean_hidden;          ///< hidden x q_rows, after the ReLU
  float* log_variance_hidden;  ///< likewise
  float* mean;                 ///< width x q_rows
  float* log_variance;         ///< width x q_rows, before the tanh
  float* d_mean_hidden;        ///< hidden x q_rows
  float* d_log_variance_hidden;

  static std::int64_t size(std::int64_t width, std::int64_t hidden) {
    return (4 * hidden + 2 * width) * q_rows;
  }

  QActivations(float* memory, std::int64_t width, std::int64_t hidden) {
    mean_hidden = memory;
    log_variance_hidden = mean_hidden + hidden * q_rows;
    mean = log_variance_hidden + hidden * q_rows;
    log_variance = mean + width * q_rows;
    d_mean_hidden = log_variance + width * q_rows;
    d_log_variance_hidden = d_mean_hidden + hidden * q_rows;
  }
};

/// out = W in + b, W (outputs x inputs).
inline void q_linear(std::int64_t outputs, std::int64_t inputs, const float* weight, const float* bias,
                     const float* in, float* out) {
  for (std::int64_t o = 0; o < outputs; ++o) {
#pragma omp simd
    for (std::int64_t r = 0; r < q_rows; ++r) out[o * q_rows + r] = bias[o];
  }
  tile_product(outputs, q_rows, inputs, {weight, inputs, 1}, in, q_rows, true, out, q_rows);
}

/// Runs q on the rows of `x` (width x q_rows). What is not a number stays one.
inline void q_forward(const QNetwork& q, const float* x, const QActivations& at) {
  const auto network = [&](const float* w_in, const float* b_in, const float* w_out, const float* b_out,
                           float* hidden, float* out) {
    q_linear(q.hidden, q.width, w_in, b_in, x, hidden);
#pragma omp simd
    for (std::int64_t i = 0; i < q.hidden * q_rows; ++i) hidden[i] = hidden[i] < 0.0f ? 0.0f : hidden[i];
    q_linear(q.width, q.hidden, w_out, b_out, hidden, out);
  };
  network(q.w1, q.b1, q.w2, q.b2, at.mean_hidden, at.mean);
  network(q.w3, q.b3, q.w4, q.b4, at.log_variance_hidden, at.log_variance);
}

/// From the outputs' gradients, in the outputs' places, those of the hidden layers before their ReLU.
inline void q_backward_hidden(const QNetwork& q, const QActivations& at) {
  const auto network = [&](const float* w_out, const float* hidden, const float* d_out, float* d_hidden) {
    tile_product(q.hidden, q_rows, q.width, {w_out, 1, q.hidden}, d_out, q_rows, false, d_hidden, q_rows);
#pragma omp simd
    for (std::int64_t i = 0; i < q.hidden * q_rows; ++i) {
      d_hidden[i] = hidden[i] > 0.0f ? d_hidden[i] : 0.0f;
    }
  };
  network(q.w2, at.mean_hidden, at.mean, at.d_mean_hidden);
  network(q.w4, at.log_variance_hidden, at.log_variance, at.d_log_variance_hidden);
}

/// From those, the gradient of x (width x q_rows).
inline void q_backward_input(const QNetwork& q, const QActivations& at, float* dx) {
  tile_product(q.width, q_rows, q.hidden, {q.w1, 1, q.width}, at.d_mean_hidden, q_rows, false, dx, q_rows);
  tile_product(q.width, q_rows, q.hidden, {q.w3, 1, q.width}, at.d_log_variance_hidden, q_rows, true, dx,
               q_rows);
}

/// columns[j][r] = matrix(first + r, j) for the rows there are, else 0.
inline void load_by_features(ConstMatrixView matrix, std::int64_t first, float* columns) {
  const std::int64_t rows = std::min(q_rows, matrix.rows - first);
  for (std::int64_t j = 0; j < matrix.columns; ++j) {
    for (std::int64_t r = 0; r < q_rows; ++r) {
      columns[j * q_rows + r] = r < rows ? matrix(first + r, j) : 0.0f;
    }
  }
}

/// The way back: matrix(first + r, j) = columns[j][r] for the rows there are.
inline void store_by_features(const float* columns, std::int64_t first, MatrixView matrix) {
  const std::int64_t rows = std::min(q_rows, matrix.rows - first);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t j = 0; j < matrix.columns; ++j) matrix(first + r, j) = columns[j * q_rows + r];
  }
}

}  // namespace sea::cpu
