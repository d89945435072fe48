#pragma once

#include <cstdint>

#include "common/reduce.cuh"
#include "sea/backend.hpp"
#include "sea/fast_exp.hpp"

// The variational network q of CLUB on one row, by one warp: for club and club_fit at any width and number of
// hidden units. Their kernels for 32 and 8 keep rows and weights in registers instead.

namespace sea::cuda {

/// The eight arrays of q within its parameters, in their order. The half of the log variance follows that of
/// the mean and is laid out like it.
struct QNetwork {
  int width, hidden;
  const float* parameters;

  /// Where an array of one half (0 the mean's, 1 the log variance's) begins.
  __device__ std::int64_t w_in(int half) const { return half * half_size(); }
  __device__ std::int64_t b_in(int half) const { return w_in(half) + std::int64_t{hidden} * width; }
  __device__ std::int64_t w_out(int half) const { return b_in(half) + hidden; }
  __device__ std::int64_t b_out(int half) const { return w_out(half) + std::int64_t{width} * hidden; }
  __device__ std::int64_t half_size() const { return 2 * std::int64_t{width} * hidden + hidden + width; }
};

/// The activations of a row, in shared or global memory of its warp. The gradients of the two outputs take
/// the outputs' places. Lane l alone touches the outputs l, l + 32, ...
struct QRow {
  float* hidden;        ///< of both halves, after the ReLU
  float* d_hidden;      ///< likewise
  float* mean;          ///< width
  float* log_variance;  ///< width, before the tanh

  static constexpr std::int64_t size(std::int64_t width, std::int64_t hidden) {
    return 4 * hidden + 2 * width;
  }
  __device__ QRow(float* memory, const QNetwork& q)
      : hidden(memory),
        d_hidden(hidden + 2 * q.hidden),
        mean(d_hidden + 2 * q.hidden),
        log_variance(mean + q.width) {}
};

/// Runs q on the row `x`. What is not a number stays one.
__device__ inline void q_forward(const QNetwork& q, const float* x, const QRow& at) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  __syncwarp();  // the row before has been read
  for (int half = 0; half < 2; ++half) {
    for (int unit = 0; unit < q.hidden; ++unit) {
      const float* w = q.parameters + q.w_in(half) + std::int64_t{unit} * q.width;
      float sum = 0.0f;
      for (int j = lane; j < q.width; j += 32) sum = __fmaf_rn(w[j], x[j], sum);
      sum = warp_sum(sum) + q.parameters[q.b_in(half) + unit];
      if (lane == 0) at.hidden[half * q.hidden + unit] = sum < 0.0f ? 0.0f : sum;
    }
  }
  __syncwarp();
  for (int half = 0; half < 2; ++half) {
    float* out = half == 0 ? at.mean : at.log_variance;
    for (int j = lane; j < q.width; j += 32) {
      const float* w = q.parameters + q.w_out(half) + std::int64_t{j} * q.hidden;
      float sum = q.parameters[q.b_out(half) + j];
      for (int unit = 0; unit < q.hidden; ++unit) {
        sum = __fmaf_rn(w[unit], at.hidden[half * q.hidden + unit], sum);
      }
      out[j] = sum;
    }
  }
}

/// From the outputs' gradients, in the outputs' places, those of the hidden layers before their ReLU.
__device__ inline void q_backward_hidden(const QNetwork& q, const QRow& at) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int half = 0; half < 2; ++half) {
    const float* d_out = half == 0 ? at.mean : at.log_variance;
    for (int unit = 0; unit < q.hidden; ++unit) {
      const float* w = q.parameters + q.w_out(half) + unit;
      float sum = 0.0f;
      for (int j = lane; j < q.width; j += 32) {
        sum = __fmaf_rn(w[std::int64_t{j} * q.hidden], d_out[j], sum);
      }
      sum = warp_sum(sum);
      const int place = half * q.hidden + unit;
      if (lane == 0) at.d_hidden[place] = at.hidden[place] > 0.0f ? sum : 0.0f;
    }
  }
  __syncwarp();
}

/// From those, the gradient of x[j].
__device__ inline float q_backward_input(const QNetwork& q, const QRow& at, int j) {
  float sum = 0.0f;
  for (int half = 0; half < 2; ++half) {
    const float* w = q.parameters + q.w_in(half) + j;
    for (int unit = 0; unit < q.hidden; ++unit) {
      sum = __fmaf_rn(w[std::int64_t{unit} * q.width], at.d_hidden[half * q.hidden + unit], sum);
    }
  }
  return sum;
}

}  // namespace sea::cuda
