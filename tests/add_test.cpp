#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("add sums elements, into a third matrix or into either operand") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 77}, {77, 1}, {517, 67}, {3, 20001}}) {
      const std::vector<float> left = random_values(rows * columns, 1);
      const std::vector<float> right = random_values(rows * columns, 2);
      std::vector<float> expected(left.size());
      for (std::size_t i = 0; i < left.size(); ++i) expected[i] = left[i] + right[i];

      const StridedMatrix a(backend, left, rows, columns, 1), b(backend, right, rows, columns, 5);
      const StridedMatrix y(backend, rows, columns);
      backend.add(a.view(), b.view(), y.view());
      CHECK(y.values() == expected);

      const StridedMatrix into_a(backend, left, rows, columns), into_b(backend, right, rows, columns);
      backend.add(into_a.view(), b.view(), into_a.view());
      backend.add(a.view(), into_b.view(), into_b.view());
      CHECK(into_a.values() == expected);
      CHECK(into_b.values() == expected);
      CHECK(a.values() == left);
      CHECK(b.values() == right);

      backend.add(a.view(), a.view(), a.view());
      for (std::size_t i = 0; i < left.size(); ++i) expected[i] = left[i] + left[i];
      CHECK(a.values() == expected);
    }
  });
}

TEST_CASE("add refuses other shapes") {
  CpuBackend backend(1);
  std::vector<float> values(12);
  CHECK_THROWS_AS(backend.add({values.data(), 3, 4}, {values.data(), 4, 3}, MatrixView{values.data(), 3, 4}),
                  Error);
  CHECK_THROWS_AS(backend.add({values.data(), 3, 4}, {values.data(), 3, 4}, MatrixView{values.data(), 2, 4}),
                  Error);
}
