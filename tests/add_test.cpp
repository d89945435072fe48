#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

Operator add(std::int64_t rows, std::int64_t columns) {
  return elementwise(
      rows, columns, 2,
      [](Backend& backend, const Views& in, const Views& out) { backend.add(in[0], in[1], out[0]); },
      [](const std::vector<double>& x) { return x[0] + x[1]; });
}

}  // namespace

TEST_CASE("add sums elements, into a third matrix or into either operand") {
  for (const auto& [rows, columns] : element_shapes) check_operator(add(rows, columns));
  for (const auto& [rows, columns] : wide_shapes) check_outputs(add(rows, columns));
  check_outputs(add(517, 67));
  check_in_place(add(9, 37), {0, 1});
  for_each_backend([](Backend& backend) {
    const std::vector<float> values = random_values(33, 1);
    const StridedMatrix a(backend, values, 3, 11);
    backend.add(a.view(), a.view(), a.view());
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(a.values()[i] == 2.0f * values[i]);
  });
}

TEST_CASE("add refuses other shapes") {
  check_refuses(add(3, 4));
}
