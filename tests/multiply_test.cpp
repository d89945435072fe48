#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

Operator multiply(std::int64_t rows, std::int64_t columns) {
  return elementwise(
      rows, columns, 2,
      [](Backend& backend, const Views& in, const Views& out) { backend.multiply(in[0], in[1], out[0]); },
      [](const std::vector<double>& x) { return x[0] * x[1]; });
}

}  // namespace

TEST_CASE("multiply takes products of elements, into a third matrix or into either operand") {
  for (const auto& [rows, columns] : element_shapes) check_operator(multiply(rows, columns));
  for (const auto& [rows, columns] : wide_shapes) check_outputs(multiply(rows, columns));
  check_outputs(multiply(517, 67));
  check_in_place(multiply(9, 37), {0, 1});
  // It is its own backward.
  check_operator(gradient_of(multiply(5, 7), {0}, [](Backend& backend, const Views& in, const Views& out) {
    backend.multiply(in[2], in[1], out[0]);
  }));
  for_each_backend([](Backend& backend) {
    const std::vector<float> values = random_values(33, 1);
    const StridedMatrix a(backend, values, 3, 11);
    backend.multiply(a.view(), a.view(), a.view());
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(a.values()[i] == values[i] * values[i]);
  });
}

TEST_CASE("multiply: what is no number stays none where it meets a zero, from either side") {
  Operator described = multiply(9, 20);
  for (const std::size_t zeros : {0, 1}) {
    described.inputs[zeros].values.assign(9 * 20, 0.0f);
    check_operator(described);
    described.inputs[zeros].values.clear();
  }
}

TEST_CASE("multiply refuses other shapes") {
  check_refuses(multiply(3, 4));
}
