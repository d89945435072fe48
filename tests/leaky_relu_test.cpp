#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("leaky_relu and its backward equal their definition, also in place") {
  constexpr float slope = 0.01f;
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 37}, {301, 19}}) {
      const TestMatrix x(backend, rows, columns, 2, 1), dy(backend, rows, columns, 0, 2);
      const TestMatrix y = TestMatrix::output(backend, rows, columns, 1);
      const TestMatrix dx = TestMatrix::output(backend, rows, columns, 3);
      backend.leaky_relu(x.view(), slope, y.view());
      backend.leaky_relu_backward(y.view(), dy.view(), slope, dx.view());
      const std::vector<float> in = x.values(), up = dy.values();
      std::vector<double> expected_y, expected_dx;
      for (std::size_t i = 0; i < in.size(); ++i) {
        expected_y.push_back(in[i] > 0.0f ? in[i] : static_cast<double>(slope) * in[i]);
        expected_dx.push_back(in[i] > 0.0f ? up[i] : static_cast<double>(slope) * up[i]);
      }
      CHECK(relative_error(y.values(), expected_y) < 1e-7);
      CHECK(relative_error(dx.values(), expected_dx) < 1e-7);
      CHECK(y.gap_untouched());
      CHECK(dx.gap_untouched());

      backend.leaky_relu_backward(y.view(), dy.view(), slope, dy.view());
      CHECK(dy.values() == dx.values());
      backend.leaky_relu(x.view(), slope, x.view());
      CHECK(x.values() == y.values());
    }
  });
}

TEST_CASE("leaky_relu's backward equals differences of its definition") {
  constexpr double slope = 0.2;
  constexpr std::int64_t rows = 9, columns = 5;
  for_each_backend([](Backend& backend) {
    const TestMatrix x(backend, rows, columns, 1, 3), weights(backend, rows, columns, 2, 4);
    const TestMatrix y = TestMatrix::output(backend, rows, columns, 1);
    const TestMatrix dx = TestMatrix::output(backend, rows, columns, 3);
    backend.leaky_relu(x.view(), static_cast<float>(slope), y.view());
    backend.leaky_relu_backward(y.view(), weights.view(), static_cast<float>(slope), dx.view());
    const std::vector<double> w = weights.doubles();
    const auto weighted_sum = [&](const std::vector<double>& values) {
      double sum = 0.0;
      for (std::size_t i = 0; i < values.size(); ++i)
        sum += w[i] * (values[i] > 0.0 ? values[i] : slope * values[i]);
      return sum;
    };
    CHECK(relative_error(dx.values(), central_differences(weighted_sum, x.doubles())) < 1e-5);
  });
}
