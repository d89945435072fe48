#include <cmath>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr Activation all[] = {Activation::sigmoid, Activation::tanh};

double value_of(Activation activation, double x) {
  return activation == Activation::sigmoid ? 1.0 / (1.0 + std::exp(-x)) : std::tanh(x);
}

/// From almost nothing to where the functions are flat.
std::vector<float> arguments(std::int64_t count) {
  std::vector<float> x = random_values(count, 1);
  for (std::int64_t i = 0; i < count; ++i) x[i] *= std::pow(10.0f, static_cast<float>(i % 8 - 5));
  return x;
}

}  // namespace

TEST_CASE("activate equals its definition, to the last digits of each element, also in place") {
  for_each_backend([](Backend& backend) {
    for (const Activation activation : all) {
      for (const auto& [rows, columns] :
           {std::pair{1, 1}, {1, 37}, {301, 19}, {65, 64}, {3, 1025}, {2, 4099}}) {
        CAPTURE(static_cast<int>(activation), rows, columns);
        const std::vector<float> values = arguments(rows * columns);
        const StridedMatrix x(backend, values, rows, columns, 2), y(backend, rows, columns, 1);
        const StridedMatrix in_place(backend, values, rows, columns, 4);
        backend.activate(activation, x.view(), y.view());
        backend.activate(activation, in_place.view(), in_place.view());
        const std::vector<float> result = y.values(), other = in_place.values();
        double worst = 0.0, apart = 0.0;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const double expected = value_of(activation, values[i]);
          // Beyond -87.33 the sigmoid is 0 in float.
          const double least = 1.2e-38, scale = std::abs(expected);
          worst = std::max(worst, (std::abs(result[i] - expected) - least) / scale);
          apart = std::max(apart, (std::abs(static_cast<double>(other[i]) - result[i]) - least) / scale);
        }
        CHECK(worst < 4e-7);
        CHECK(apart < 4e-7);
      }
    }
  });
}

TEST_CASE("activate in every layout") {
  const std::vector<float> values = arguments(9 * 20), up = random_values(9 * 20, 2);
  for_each_backend([&](Backend& backend) {
    for (const Activation activation : all) {
      const StridedMatrix plain(backend, values, 9, 20), plain_y(backend, 9, 20);
      backend.activate(activation, plain.view(), plain_y.view());
      const std::vector<double> expected = to_double(plain_y.values());
      for (const Layout of_x : layouts) {
        for (const Layout of_y : layouts) {
          const StridedMatrix x(backend, values, 9, 20, of_x), y(backend, 9, 20, of_y);
          const StridedMatrix dy(backend, up, 9, 20, of_x), dx(backend, 9, 20, of_y);
          backend.activate(activation, x.view(), y.view());
          backend.activate_backward(activation, y.view(), dy.view(), dx.view());
          CHECK(relative_error(y.values(), expected) < 1e-6);
          std::vector<double> gradient;
          for (std::size_t i = 0; i < expected.size(); ++i) {
            const double at = expected[i];
            gradient.push_back(up[i] * (activation == Activation::sigmoid ? at * (1 - at) : 1 - at * at));
          }
          CHECK(relative_error(dx.values(), gradient) < 1e-6);
        }
      }
    }
  });
}

TEST_CASE("activate at its ends") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for_each_backend([](Backend& backend) {
    const StridedMatrix x(backend, {-infinity, -1e30f, -0.0f, 0.0f, 1e30f, infinity, std::nanf("")}, 1, 7);
    const StridedMatrix y(backend, 1, 7);
    backend.activate(Activation::sigmoid, x.view(), y.view());
    std::vector<float> values = y.values();
    CHECK(std::isnan(values.back()));
    values.pop_back();
    CHECK(values == std::vector<float>{0.0f, 0.0f, 0.5f, 0.5f, 1.0f, 1.0f});
    backend.activate(Activation::tanh, x.view(), y.view());
    values = y.values();
    CHECK(std::isnan(values.back()));
    values.pop_back();
    CHECK(values == std::vector<float>{-1.0f, -1.0f, 0.0f, 0.0f, 1.0f, 1.0f});
  });
}

TEST_CASE("activate_backward equals central differences, also in place, and keeps a NaN") {
  for_each_backend([](Backend& backend) {
    for (const Activation activation : all) {
      std::vector<float> values = random_values(7 * 33, 5);
      for (float& value : values) value *= 4.0f;
      std::vector<float> upstream = random_values(7 * 33, 6);
      const StridedMatrix x(backend, values, 7, 33), y(backend, 7, 33), dx(backend, 7, 33, 4);
      const StridedMatrix dy(backend, upstream, 7, 33, 1);
      backend.activate(activation, x.view(), y.view());
      backend.activate_backward(activation, y.view(), dy.view(), dx.view());
      const auto loss = [&](const std::vector<double>& at) {
        double sum = 0.0;
        for (std::size_t i = 0; i < at.size(); ++i) sum += value_of(activation, at[i]) * upstream[i];
        return sum;
      };
      CHECK(relative_error(dx.values(), central_differences(loss, to_double(values))) < 1e-6);
      backend.activate_backward(activation, y.view(), dy.view(), dy.view());
      CHECK(relative_error(dy.values(), to_double(dx.values())) < 1e-6);

      upstream[40] = std::nanf("");
      const StridedMatrix bad(backend, upstream, 7, 33);
      backend.activate_backward(activation, y.view(), bad.view(), dx.view());
      const std::vector<float> gradient = dx.values();
      for (std::size_t i = 0; i < gradient.size(); ++i) CHECK(std::isnan(gradient[i]) == (i == 40));
    }
  });
}

TEST_CASE("activate gives the same bits on any number of threads") {
  const std::vector<float> values = arguments(700 * 65), upstream = random_values(700 * 65, 9);
  for (const Activation activation : all) {
    check_same_bits([&](Backend& backend) {
      const StridedMatrix x(backend, values, 700, 65), dy(backend, upstream, 700, 65);
      const StridedMatrix y(backend, 700, 65), dx(backend, 700, 65);
      backend.activate(activation, x.view(), y.view());
      backend.activate_backward(activation, y.view(), dy.view(), dx.view());
      return std::pair{y.values(), dx.values()};
    });
  }
}

TEST_CASE("activate refuses shapes that do not fit") {
  CpuBackend backend(1);
  std::vector<float> values(6);
  const MatrixView two(values.data(), 2, 3), three(values.data(), 3, 2);
  CHECK_THROWS_AS(backend.activate(Activation::tanh, two, three), Error);
  CHECK_THROWS_AS(backend.activate_backward(Activation::tanh, two, three, two), Error);
  CHECK_THROWS_AS(backend.activate_backward(Activation::tanh, two, two, three), Error);
}
