#include <cmath>
#include <limits>

#include "support/operator_check.hpp"

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

Operator activate(Activation activation, std::int64_t rows, std::int64_t columns) {
  Operator described = elementwise(
      rows, columns, 1,
      [=](Backend& backend, const Views& in, const Views& out) {
        backend.activate(activation, in[0], out[0]);
      },
      [=](const std::vector<double>& x) { return value_of(activation, x[0]); });
  described.inputs[0].values = arguments(rows * columns);
  described.tolerance = 4e-7;
  return described;
}

/// Of Y and dY. A zero of dY does not hide what is no number.
Operator activate_backward(Activation activation, std::int64_t rows, std::int64_t columns) {
  Operator described = elementwise(
      rows, columns, 2,
      [=](Backend& backend, const Views& in, const Views& out) {
        backend.activate_backward(activation, in[0], in[1], out[0]);
      },
      [=](const std::vector<double>& x) {
        return x[1] * (activation == Activation::sigmoid ? x[0] * (1.0 - x[0]) : 1.0 - x[0] * x[0]);
      });
  described.inputs[1].values = random_values(rows * columns, 6);
  for (std::size_t i = 0; i < described.inputs[1].values.size(); i += 3) described.inputs[1].values[i] = 0.0f;
  described.tolerance = 4e-7;
  return described;
}

}  // namespace

TEST_CASE("activate equals its definition, to the last digits of each element") {
  for_each_backend([](Backend& backend) {
    for (const Activation activation : all) {
      const Operator described = activate(activation, 65, 64);
      const std::vector<float> values = arguments(65 * 64), result = run_operator(backend, described)[0];
      double worst = 0.0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double expected = value_of(activation, values[i]);
        // Beyond -87.33 the sigmoid is 0 in float.
        worst = std::max(worst, (std::abs(result[i] - expected) - 1.2e-38) / std::abs(expected));
      }
      CHECK(worst < 4e-7);
    }
  });
}

TEST_CASE("activate and its backward in every layout, and in place") {
  for (const Activation activation : all) {
    for (const auto& [rows, columns] : element_shapes) {
      check_operator(activate(activation, rows, columns));
      check_operator(activate_backward(activation, rows, columns));
    }
    for (const auto& [rows, columns] : wide_shapes) check_outputs(activate(activation, rows, columns));
    check_in_place(activate(activation, 9, 37), {0});
    check_in_place(activate_backward(activation, 9, 37), {1});
  }
}

TEST_CASE("activate at its ends") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for_each_backend([](Backend& backend) {
    const StridedMatrix x(backend, {-infinity, -1e30f, -0.0f, 0.0f, 1e30f, infinity}, 1, 6), y(backend, 1, 6);
    backend.activate(Activation::sigmoid, x.view(), y.view());
    CHECK(y.values() == std::vector<float>{0.0f, 0.0f, 0.5f, 0.5f, 1.0f, 1.0f});
    backend.activate(Activation::tanh, x.view(), y.view());
    CHECK(y.values() == std::vector<float>{-1.0f, -1.0f, 0.0f, 0.0f, 1.0f, 1.0f});
  });
}

TEST_CASE("activate_backward equals central differences") {
  for (const Activation activation : all) {
    Operator forward = activate(activation, 7, 13);
    forward.inputs[0].values = random_values(7 * 13, 5);
    check_operator(gradient_of(forward, {0}, [=](Backend& backend, const Views& in, const Views& out) {
      const StridedMatrix y(backend, 7, 13);
      backend.activate(activation, in[0], y.view());
      backend.activate_backward(activation, y.view(), in[1], out[0]);
    }));
  }
}

TEST_CASE("activate gives the same bits on any number of threads") {
  for (const Activation activation : all) {
    check_threads(activate(activation, 700, 65));
    check_threads(activate_backward(activation, 700, 65));
  }
}

TEST_CASE("activate refuses shapes that do not fit") {
  check_refuses(activate(Activation::tanh, 2, 3));
  check_refuses(activate_backward(Activation::tanh, 2, 3));
}
