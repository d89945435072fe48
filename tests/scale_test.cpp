#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("scale multiplies elements, into another matrix or in place") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 77}, {77, 1}, {517, 67}, {3, 20001}}) {
      const std::vector<float> values = random_values(rows * columns, 1);
      std::vector<float> expected(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) expected[i] = -0.3f * values[i];
      const StridedMatrix x(backend, values, rows, columns, 1), y(backend, rows, columns, 5);
      backend.scale(-0.3f, x.view(), y.view());
      CHECK(y.values() == expected);
      CHECK(x.values() == values);
      backend.scale(1.0f, x.view(), y.view());
      CHECK(y.values() == values);
      backend.scale(-0.3f, x.view(), x.view());
      CHECK(x.values() == expected);
    }
  });
}

TEST_CASE("scale refuses other shapes") {
  CpuBackend backend(1);
  std::vector<float> values(12);
  CHECK_THROWS_AS(backend.scale(1.0f, {values.data(), 3, 4}, MatrixView{values.data(), 4, 3}), Error);
}
