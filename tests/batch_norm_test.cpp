#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"
#include "support/same_bits.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr double epsilon = 1e-5;

std::vector<double> naive(const std::vector<double>& x, const std::vector<double>& scale,
                          const std::vector<double>& shift, std::int64_t rows, std::int64_t columns,
                          bool relu) {
  std::vector<double> y(x.size());
  for (std::int64_t j = 0; j < columns; ++j) {
    double mean = 0.0, variance = 0.0;
    for (std::int64_t i = 0; i < rows; ++i) mean += x[i * columns + j] / rows;
    for (std::int64_t i = 0; i < rows; ++i) variance += std::pow(x[i * columns + j] - mean, 2) / rows;
    for (std::int64_t i = 0; i < rows; ++i) {
      const double normal = (x[i * columns + j] - mean) / std::sqrt(variance + epsilon);
      const double value = scale[j] * normal + shift[j];
      y[i * columns + j] = relu ? std::max(0.0, value) : value;
    }
  }
  return y;
}

}  // namespace

TEST_CASE("batch_norm equals a naive loop") {
  const bool relu = GENERATE(false, true);
  for_each_backend([&](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 3}, {2, 1}, {700, 1}, {1025, 21}}) {
      // A mean far from zero tells a careless variance.
      std::vector<float> values = random_values(rows * columns, 1);
      for (float& value : values) value += 20.0f;
      const TestMatrix x(backend, rows, columns, 2, values);
      const TestMatrix scale(backend, 1, columns, 0, 2), shift(backend, 1, columns, 0, 3);
      const TestMatrix mean = TestMatrix::output(backend, 1, columns, 0),
                       inverse = mean.output(backend, 1, columns, 0);
      const TestMatrix y = TestMatrix::output(backend, rows, columns, 1);
      const GarbageWorkspace workspace(backend, backend.batch_norm_workspace(rows, columns));
      backend.batch_norm(x.view(), scale.vector(), shift.vector(), static_cast<float>(epsilon), relu,
                         mean.vector(), inverse.vector(), y.view(), workspace);
      const auto expected = naive(x.doubles(), scale.doubles(), shift.doubles(), rows, columns, relu);
      CHECK(relative_error(y.values(), expected, 1.0) < 1e-5);
      CHECK(y.gap_untouched());
    }
  });
}

TEST_CASE("batch_norm_backward equals central differences") {
  const bool relu = GENERATE(false, true);
  for_each_backend([&](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{5, 1}, {23, 4}}) {
      const TestMatrix x(backend, rows, columns, 1, 11), dy(backend, rows, columns, 2, 12);
      const TestMatrix scale(backend, 1, columns, 0, 13), shift(backend, 1, columns, 0, 14);
      const TestMatrix mean = TestMatrix::output(backend, 1, columns, 0),
                       inverse = mean.output(backend, 1, columns, 0);
      const TestMatrix y = TestMatrix::output(backend, rows, columns, 0);
      const TestMatrix dx = TestMatrix::output(backend, rows, columns, 3);
      const TestMatrix dscale = TestMatrix::output(backend, 1, columns, 0);
      const TestMatrix dshift = TestMatrix::output(backend, 1, columns, 0);
      const GarbageWorkspace workspace(backend, backend.batch_norm_workspace(rows, columns));
      backend.batch_norm(x.view(), scale.vector(), shift.vector(), static_cast<float>(epsilon), relu,
                         mean.vector(), inverse.vector(), y.view(), workspace);
      backend.batch_norm_backward(x.view(), relu ? y.view() : MatrixView(), dy.view(), scale.vector(),
                                  mean.vector(), inverse.vector(), relu, dx.view(), dscale.vector(),
                                  dshift.vector(), workspace);
      const auto upstream = dy.doubles(), x0 = x.doubles(), scale0 = scale.doubles(),
                 shift0 = shift.doubles();
      const auto f = [&, rows = rows, columns = columns](const std::vector<double>& x_,
                                                         const std::vector<double>& s,
                                                         const std::vector<double>& b) {
        const auto out = naive(x_, s, b, rows, columns, relu);
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

namespace {

/// dX of batch_norm without ReLU, in double precision.
std::vector<double> naive_backward(const std::vector<double>& x, const std::vector<double>& dy,
                                   const std::vector<double>& scale, std::int64_t rows,
                                   std::int64_t columns) {
  std::vector<double> dx(x.size());
  const auto n = static_cast<double>(rows);
  for (std::int64_t j = 0; j < columns; ++j) {
    double mean = 0.0, variance = 0.0, sum = 0.0, along = 0.0;
    for (std::int64_t i = 0; i < rows; ++i) mean += x[i * columns + j] / n;
    for (std::int64_t i = 0; i < rows; ++i) variance += std::pow(x[i * columns + j] - mean, 2) / n;
    const double inverse = 1.0 / std::sqrt(variance + epsilon);
    for (std::int64_t i = 0; i < rows; ++i) {
      sum += dy[i * columns + j];
      along += dy[i * columns + j] * (x[i * columns + j] - mean) * inverse;
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      const double normal = (x[i * columns + j] - mean) * inverse;
      dx[i * columns + j] = scale[j] * inverse * (dy[i * columns + j] - sum / n - normal * along / n);
    }
  }
  return dx;
}

struct SecondGradients {
  std::vector<float> ddy, dx, dscale;
  bool operator==(const SecondGradients&) const = default;
};

SecondGradients second_gradients(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap,
                                 float offset = 0.0f) {
  std::vector<float> values = random_values(rows * columns, 21);
  for (float& value : values) value += offset;
  const TestMatrix x(backend, rows, columns, gap, values), dy(backend, rows, columns, gap + 1, 22),
      g(backend, rows, columns, gap + 2, 23);
  const TestMatrix scale(backend, 1, columns, 0, 24), shift(backend, 1, columns, 0, 25);
  const TestMatrix mean = TestMatrix::output(backend, 1, columns, 0),
                   inverse = TestMatrix::output(backend, 1, columns, 0),
                   dscale = TestMatrix::output(backend, 1, columns, 0),
                   y = TestMatrix::output(backend, rows, columns, 0),
                   ddy = TestMatrix::output(backend, rows, columns, gap),
                   dx = TestMatrix::output(backend, rows, columns, gap + 3);
  const GarbageWorkspace workspace(backend, backend.batch_norm_workspace(rows, columns));
  backend.batch_norm(x.view(), scale.vector(), shift.vector(), static_cast<float>(epsilon), false,
                     mean.vector(), inverse.vector(), y.view(), workspace);
  backend.batch_norm_double_backward(x.view(), dy.view(), g.view(), scale.vector(), mean.vector(),
                                     inverse.vector(), ddy.view(), dx.view(), dscale.vector(), workspace);
  CHECK(ddy.gap_untouched());
  CHECK(dx.gap_untouched());
  return {ddy.values(), dx.values(), dscale.values()};
}

}  // namespace

TEST_CASE("batch_norm_double_backward equals central differences of the backward") {
  for_each_backend([&](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{2, 1}, {5, 3}, {23, 4}, {40, 33}}) {
      for (const std::int64_t gap : {0, 4, 5}) {
        CAPTURE(rows, columns, gap);
        const SecondGradients result = second_gradients(backend, rows, columns, gap);
        const std::vector<double> x0 = to_double(random_values(rows * columns, 21)),
                                  dy0 = to_double(random_values(rows * columns, 22)),
                                  scale0 = to_double(random_values(columns, 24));
        const std::vector<float> upstream = random_values(rows * columns, 23);
        const auto f = [&, rows = rows, columns = columns](const std::vector<double>& x_,
                                                           const std::vector<double>& dy_,
                                                           const std::vector<double>& scale_) {
          const std::vector<double> out = naive_backward(x_, dy_, scale_, rows, columns);
          double sum = 0.0;
          for (std::size_t i = 0; i < out.size(); ++i) sum += upstream[i] * out[i];
          return sum;
        };
        const auto by_dy = central_differences([&](auto& v) { return f(x0, v, scale0); }, dy0);
        const auto by_x = central_differences([&](auto& v) { return f(v, dy0, scale0); }, x0);
        const auto by_scale = central_differences([&](auto& v) { return f(x0, dy0, v); }, scale0);
        // Of two rows what is left are differences of nearly equal numbers: hence the floors.
        CHECK(relative_error(result.ddy, by_dy, 1.0) < 1e-5);
        CHECK(relative_error(result.dx, by_x, 1.0) < 1e-5);
        CHECK(relative_error(result.dscale, by_scale, 1.0) < 1e-5);
      }
    }
  });
}

TEST_CASE("batch_norm_double_backward over several blocks of rows, columns far from zero") {
  const std::int64_t rows = emulated ? 300 : 2100, columns = 37;
  std::vector<float> values = random_values(rows * columns, 21);
  for (float& value : values) value += 20.0f;
  const std::vector<double> x0 = to_double(values), scale0 = to_double(random_values(columns, 24)),
                            dy0 = to_double(random_values(rows * columns, 22)),
                            g = to_double(random_values(rows * columns, 23));
  // The backward is its own transpose: the gradient of dY is the backward of G. That of X is taken from a
  // difference along one direction.
  const std::vector<double> ddy = naive_backward(x0, g, scale0, rows, columns);
  std::vector<double> direction = to_double(random_values(rows * columns, 26));
  const auto moved = [&](double step) {
    std::vector<double> at = x0;
    for (std::size_t i = 0; i < at.size(); ++i) at[i] += step * direction[i];
    const std::vector<double> out = naive_backward(at, dy0, scale0, rows, columns);
    double sum = 0.0;
    for (std::size_t i = 0; i < out.size(); ++i) sum += g[i] * out[i];
    return sum;
  };
  const double slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
  for_each_backend([&](Backend& backend) {
    const SecondGradients result = second_gradients(backend, rows, columns, 1, 20.0f);
    CHECK(relative_error(result.ddy, ddy) < 1e-5);
    double along = 0.0;
    for (std::size_t i = 0; i < direction.size(); ++i) along += direction[i] * result.dx[i];
    CHECK(along == Approx(slope).epsilon(1e-4));
  });
}

TEST_CASE("batch_norm gives the same bits on any number of threads") {
  check_same_bits([&](Backend& backend) { return second_gradients(backend, 1700, 19, 2); });
}

TEST_CASE("batch_norm_double_backward refuses shapes that do not fit") {
  CpuBackend backend(1);
  std::vector<float> values(6), three(3);
  const MatrixView m(values.data(), 2, 3), other(values.data(), 3, 2);
  const GarbageWorkspace workspace(backend, backend.batch_norm_workspace(2, 3));
  const auto run = [&](MatrixView dy, MatrixView g, MatrixView ddy, MatrixView dx, VectorView scale) {
    backend.batch_norm_double_backward(m, dy, g, scale, three, three, ddy, dx, three, workspace);
  };
  CHECK_NOTHROW(run(m, m, m, m, three));
  CHECK_THROWS_AS(run(other, m, m, m, three), Error);
  CHECK_THROWS_AS(run(m, other, m, m, three), Error);
  CHECK_THROWS_AS(run(m, m, other, m, three), Error);
  CHECK_THROWS_AS(run(m, m, m, other, three), Error);
  CHECK_THROWS_AS(run(m, m, m, m, values), Error);
}
