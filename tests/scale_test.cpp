#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

Operator scale(std::int64_t rows, std::int64_t columns, float factor) {
  return elementwise(
      rows, columns, 1,
      [factor](Backend& backend, const Views& in, const Views& out) { backend.scale(factor, in[0], out[0]); },
      [factor](const std::vector<double>& x) { return static_cast<double>(factor) * x[0]; });
}

}  // namespace

TEST_CASE("scale multiplies elements, into another matrix or in place") {
  for (const auto& [rows, columns] : element_shapes) check_operator(scale(rows, columns, -0.3f));
  for (const auto& [rows, columns] : wide_shapes) check_outputs(scale(rows, columns, 2.0f));
  check_outputs(scale(517, 67, 1.0f));
  check_operator(scale(3, 8, 0.0f));
  check_in_place(scale(9, 37, -0.3f), {0});
}

TEST_CASE("scale refuses other shapes") {
  check_refuses(scale(3, 4, 1.0f));
}
