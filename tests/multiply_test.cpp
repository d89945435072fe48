#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

std::vector<float> products(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> y(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) y[i] = a[i] * b[i];
  return y;
}

}  // namespace

TEST_CASE("multiply takes products of elements, into a third matrix or into either operand") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1},
                                        {1, 77},
                                        {77, 1},
                                        {517, 67},
                                        {33, 64},
                                        {3, 1023},
                                        {3, 1024},
                                        {2, 1025},
                                        {3, 20001}}) {
      CAPTURE(rows, columns);
      const std::vector<float> left = random_values(rows * columns, 1);
      const std::vector<float> right = random_values(rows * columns, 2);
      const std::vector<float> expected = products(left, right);
      const StridedMatrix a(backend, left, rows, columns, 1), b(backend, right, rows, columns, 5);
      const StridedMatrix into_a(backend, left, rows, columns, 4), into_b(backend, right, rows, columns, 8);
      backend.multiply(into_a.view(), b.view(), into_a.view());
      backend.multiply(a.view(), into_b.view(), into_b.view());
      CHECK(into_a.values() == expected);
      CHECK(into_b.values() == expected);
      CHECK(a.values() == left);
      CHECK(b.values() == right);
      backend.multiply(a.view(), a.view(), a.view());
      CHECK(a.values() == products(left, left));
    }
  });
}

TEST_CASE("multiply in every layout, also where a NaN meets a zero") {
  std::vector<float> left = random_values(9 * 20, 1), right = random_values(9 * 20, 2);
  left[45] = std::nanf("");
  right[45] = 0.0f;
  right[46] = 0.0f;
  const std::vector<float> expected = products(left, right);
  for_each_backend([&](Backend& backend) {
    for (const Layout of_a : layouts) {
      for (const Layout of_y : layouts) {
        const StridedMatrix a(backend, left, 9, 20, of_a), b(backend, right, 9, 20, of_y);
        const StridedMatrix y(backend, 9, 20, of_y);
        backend.multiply(a.view(), b.view(), y.view());
        const std::vector<float> values = y.values();
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (i == 45) {
            CHECK(std::isnan(values[i]));
          } else {
            CHECK(values[i] == expected[i]);
          }
        }
      }
    }
  });
}

TEST_CASE("multiply is its own backward") {
  for_each_backend([](Backend& backend) {
    const std::vector<float> left = random_values(15, 1), right = random_values(15, 2),
                             up = random_values(15, 3);
    const StridedMatrix b(backend, right, 3, 5), dy(backend, up, 3, 5), da(backend, 3, 5);
    backend.multiply(dy.view(), b.view(), da.view());
    const auto loss = [&](const std::vector<double>& at) {
      double sum = 0.0;
      for (std::size_t i = 0; i < at.size(); ++i) sum += at[i] * right[i] * up[i];
      return sum;
    };
    CHECK(relative_error(da.values(), central_differences(loss, to_double(left))) < 1e-6);
  });
}

TEST_CASE("multiply refuses other shapes") {
  CpuBackend backend(1);
  std::vector<float> values(12);
  const MatrixView wide(values.data(), 3, 4), high(values.data(), 4, 3), small(values.data(), 2, 4);
  CHECK_THROWS_AS(backend.multiply(wide, high, wide), Error);
  CHECK_THROWS_AS(backend.multiply(wide, wide, small), Error);
}
