#include <cmath>

#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr double epsilon = 1e-5;

std::vector<double> naive(const std::vector<double>& x, const std::vector<double>& scale,
                          const std::vector<double>& shift, std::int64_t rows, std::int64_t columns) {
  std::vector<double> y(x.size());
  for (std::int64_t j = 0; j < columns; ++j) {
    double mean = 0.0, variance = 0.0;
    for (std::int64_t i = 0; i < rows; ++i) mean += x[i * columns + j] / rows;
    for (std::int64_t i = 0; i < rows; ++i) variance += std::pow(x[i * columns + j] - mean, 2) / rows;
    for (std::int64_t i = 0; i < rows; ++i) {
      const double normal = (x[i * columns + j] - mean) / std::sqrt(variance + epsilon);
      y[i * columns + j] = std::max(0.0, scale[j] * normal + shift[j]);
    }
  }
  return y;
}

}  // namespace

TEST_CASE("batch_norm_relu equals a naive loop") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 3}, {2, 1}, {700, 1}, {1025, 21}}) {
      // A mean far from zero tells a careless variance.
      std::vector<float> values = random_values(rows * columns, 1);
      for (float& value : values) value += 20.0f;
      const TestMatrix x(backend, rows, columns, 2, values);
      const TestMatrix scale(backend, 1, columns, 0, 2), shift(backend, 1, columns, 0, 3);
      const TestMatrix mean = TestMatrix::output(backend, 1, columns, 0),
                       inverse = mean.output(backend, 1, columns, 0);
      const TestMatrix y = TestMatrix::output(backend, rows, columns, 1);
      const GarbageWorkspace workspace(backend, backend.batch_norm_relu_workspace(rows, columns));
      backend.batch_norm_relu(x.view(), scale.vector(), shift.vector(), static_cast<float>(epsilon),
                              mean.vector(), inverse.vector(), y.view(), workspace);
      const auto expected = naive(x.doubles(), scale.doubles(), shift.doubles(), rows, columns);
      CHECK(relative_error(y.values(), expected, 1.0) < 1e-5);
      CHECK(y.gap_untouched());
    }
  });
}

TEST_CASE("batch_norm_relu_backward equals central differences") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{5, 1}, {23, 4}}) {
      const TestMatrix x(backend, rows, columns, 1, 11), dy(backend, rows, columns, 2, 12);
      const TestMatrix scale(backend, 1, columns, 0, 13), shift(backend, 1, columns, 0, 14);
      const TestMatrix mean = TestMatrix::output(backend, 1, columns, 0),
                       inverse = mean.output(backend, 1, columns, 0);
      const TestMatrix y = TestMatrix::output(backend, rows, columns, 0);
      const TestMatrix dx = TestMatrix::output(backend, rows, columns, 3);
      const TestMatrix dscale = TestMatrix::output(backend, 1, columns, 0);
      const TestMatrix dshift = TestMatrix::output(backend, 1, columns, 0);
      const GarbageWorkspace workspace(backend, backend.batch_norm_relu_workspace(rows, columns));
      backend.batch_norm_relu(x.view(), scale.vector(), shift.vector(), static_cast<float>(epsilon),
                              mean.vector(), inverse.vector(), y.view(), workspace);
      backend.batch_norm_relu_backward(x.view(), y.view(), dy.view(), scale.vector(), mean.vector(),
                                       inverse.vector(), dx.view(), dscale.vector(), dshift.vector(),
                                       workspace);
      const auto upstream = dy.doubles(), x0 = x.doubles(), scale0 = scale.doubles(),
                 shift0 = shift.doubles();
      const auto f = [&, rows = rows, columns = columns](const std::vector<double>& x_,
                                                         const std::vector<double>& s,
                                                         const std::vector<double>& b) {
        const auto out = naive(x_, s, b, rows, columns);
        double sum = 0.0;
        for (std::size_t i = 0; i < out.size(); ++i) sum += upstream[i] * out[i];
        return sum;
      };
      const auto by_x = central_differences([&](auto& v) { return f(v, scale0, shift0); }, x0, 1e-6);
      const auto by_scale = central_differences([&](auto& v) { return f(x0, v, shift0); }, scale0, 1e-6);
      const auto by_shift = central_differences([&](auto& v) { return f(x0, scale0, v); }, shift0, 1e-6);
      CHECK(relative_error(dx.values(), by_x) < 1e-5);
      CHECK(relative_error(dscale.values(), by_scale) < 1e-5);
      CHECK(relative_error(dshift.values(), by_shift) < 1e-5);
      CHECK(dx.gap_untouched());
    }
  });
}
