#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace sea::test {

/// The variational network q of CLUB in double precision, written as its definition.
struct ReferenceNetwork {
  std::int64_t width, hidden;
  std::vector<double> parameters;  // W1 b1 W2 b2 W3 b3 W4 b4

  struct Half {
    std::vector<double> hidden, output;  // after the ReLU; before any tanh
  };

  std::int64_t half_size() const { return 2 * width * hidden + hidden + width; }

  /// One of the two networks at the row x: 0 the mean's, 1 the log variance's.
  Half half(int which, const double* x) const {
    const double* w_in = parameters.data() + which * half_size();
    const double* b_in = w_in + hidden * width;
    const double* w_out = b_in + hidden;
    const double* b_out = w_out + width * hidden;
    Half result;
    for (std::int64_t h = 0; h < hidden; ++h) {
      double sum = b_in[h];
      for (std::int64_t k = 0; k < width; ++k) sum += w_in[h * width + k] * x[k];
      result.hidden.push_back(sum > 0.0 ? sum : 0.0);
    }
    for (std::int64_t j = 0; j < width; ++j) {
      double sum = b_out[j];
      for (std::int64_t h = 0; h < hidden; ++h) sum += w_out[j * hidden + h] * result.hidden[h];
      result.output.push_back(sum);
    }
    return result;
  }

  /// ll(x, y) = sum_j -(mu_j - y_j)^2 / (2 exp(logvar_j)) - logvar_j / 2.
  double log_likelihood(const double* x, const double* y) const {
    const Half mean = half(0, x), log_variance = half(1, x);
    double sum = 0.0;
    for (std::int64_t j = 0; j < width; ++j) {
      const double logvar = std::tanh(log_variance.output[j]);
      sum -= std::pow(mean.output[j] - y[j], 2) / (2.0 * std::exp(logvar)) + logvar / 2.0;
    }
    return sum;
  }

  /// gradient += scale * d ll(x, y) / d parameters.
  void add_gradient(const double* x, const double* y, double scale, std::vector<double>& gradient) const {
    const Half mean = half(0, x), log_variance = half(1, x);
    std::vector<double> d_mean, d_log_variance;
    for (std::int64_t j = 0; j < width; ++j) {
      const double logvar = std::tanh(log_variance.output[j]);
      const double residual = mean.output[j] - y[j];
      d_mean.push_back(-residual * std::exp(-logvar));
      d_log_variance.push_back((residual * residual * std::exp(-logvar) / 2.0 - 0.5) *
                               (1.0 - logvar * logvar));
    }
    add_half_gradient(0, x, mean, d_mean, scale, gradient);
    add_half_gradient(1, x, log_variance, d_log_variance, scale, gradient);
  }

 private:
  void add_half_gradient(int which, const double* x, const Half& at, const std::vector<double>& d_output,
                         double scale, std::vector<double>& gradient) const {
    const std::int64_t first = which * half_size();
    const std::int64_t b_in = first + hidden * width, w_out = b_in + hidden, b_out = w_out + width * hidden;
    for (std::int64_t j = 0; j < width; ++j) gradient[b_out + j] += scale * d_output[j];
    for (std::int64_t h = 0; h < hidden; ++h) {
      double d_hidden = 0.0;
      for (std::int64_t j = 0; j < width; ++j) {
        gradient[w_out + j * hidden + h] += scale * d_output[j] * at.hidden[h];
        d_hidden += d_output[j] * parameters[w_out + j * hidden + h];
      }
      if (at.hidden[h] <= 0.0) continue;
      gradient[b_in + h] += scale * d_hidden;
      for (std::int64_t k = 0; k < width; ++k) gradient[first + h * width + k] += scale * d_hidden * x[k];
    }
  }
};

}  // namespace sea::test
