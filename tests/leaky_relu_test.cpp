#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

Operator leaky_relu(std::int64_t rows, std::int64_t columns, float slope) {
  const double below = slope;
  return elementwise(
      rows, columns, 1,
      [=](Backend& backend, const Views& in, const Views& out) { backend.leaky_relu(in[0], slope, out[0]); },
      [=](const std::vector<double>& x) { return x[0] > 0.0 ? x[0] : below * x[0]; });
}

/// Of Y and dY; the slope at 0 is that below it.
Operator leaky_relu_backward(std::int64_t rows, std::int64_t columns, float slope) {
  Operator described = elementwise(
      rows, columns, 2,
      [=](Backend& backend, const Views& in, const Views& out) {
        backend.leaky_relu_backward(in[0], in[1], slope, out[0]);
      },
      [=](const std::vector<double>& x) { return (x[0] > 0.0 ? 1.0 : static_cast<double>(slope)) * x[1]; });
  described.inputs[0].values = random_values(rows * columns, 5);
  for (std::size_t i = 0; i < described.inputs[0].values.size(); i += 5)
    described.inputs[0].values[i] = i % 2 == 0 ? 0.0f : -0.0f;
  return described;
}

}  // namespace

TEST_CASE("leaky_relu and its backward equal their definition, also in place") {
  for (const auto& [rows, columns] : element_shapes) {
    check_operator(leaky_relu(rows, columns, 0.01f));
    check_operator(leaky_relu_backward(rows, columns, 0.01f));
  }
  check_outputs(leaky_relu(301, 19, 0.2f));
  check_in_place(leaky_relu(9, 37, 0.2f), {0});
  check_in_place(leaky_relu_backward(9, 37, 0.2f), {1});
}

TEST_CASE("leaky_relu's backward equals differences of its definition") {
  check_operator(
      gradient_of(leaky_relu(9, 5, 0.2f), {0}, [](Backend& backend, const Views& in, const Views& out) {
        // The sign of X is that of Y.
        backend.leaky_relu_backward(in[0], in[1], 0.2f, out[0]);
      }));
}

TEST_CASE("leaky_relu refuses other shapes") {
  check_refuses(leaky_relu(3, 4, 0.2f));
  check_refuses(leaky_relu_backward(3, 4, 0.2f));
}
