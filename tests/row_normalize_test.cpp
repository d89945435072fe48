#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

double norm_of(const double* row, std::int64_t columns) {
  double sum = 0.0;
  for (std::int64_t j = 0; j < columns; ++j) sum += row[j] * row[j];
  return std::sqrt(sum);
}

std::vector<double> normalized(const std::vector<double>& x, std::int64_t rows, std::int64_t columns) {
  std::vector<double> y(x.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    const double norm = std::max(norm_of(&x[i * columns], columns), 1e-12);
    for (std::int64_t j = 0; j < columns; ++j) y[i * columns + j] = x[i * columns + j] / norm;
  }
  return y;
}

const std::vector<std::pair<int, int>> shapes{{1, 1}, {1, 33}, {41, 1}, {7, 31}, {301, 64}, {5, 4099}};

}  // namespace

TEST_CASE("row_normalize divides rows by their norm") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : shapes) {
      const std::vector<float> values = random_values(rows * columns, 3);
      const StridedMatrix x(backend, values, rows, columns), y(backend, rows, columns, 7);
      const Buffer<float> inverse_norms = garbage(backend, rows);
      backend.row_normalize(x.view(), y.view(), inverse_norms.span());
      const std::vector<double> reference = to_double(values);
      CHECK(relative_error(y.values(), normalized(reference, rows, columns)) < 1e-7);
      std::vector<double> expected;
      for (int i = 0; i < rows; ++i) {
        expected.push_back(1.0 / norm_of(&reference[static_cast<std::size_t>(i * columns)], columns));
      }
      CHECK(relative_error(inverse_norms.download(), expected) < 1e-7);
    }
  });
}

TEST_CASE("row_normalize: a NaN is its whole row's, and no other's") {
  for_each_backend([](Backend& backend) {
    std::vector<float> values = random_values(3 * 40, 5);
    values[40 + 33] = std::nanf("");
    const StridedMatrix x(backend, values, 3, 40), y(backend, 3, 40);
    const Buffer<float> inverse_norms = garbage(backend, 3);
    backend.row_normalize(x.view(), y.view(), inverse_norms.span());
    const std::vector<float> rows = y.values();
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(std::isnan(rows[i]) == (i / 40 == 1));
  });
}

TEST_CASE("row_normalize of zero, tiny and huge rows") {
  for_each_backend([](Backend& backend) {
    const std::vector<float> values{0.0f,   0.0f,   0.0f,    // zero stays zero
                                    3e-13f, 0.0f,   4e-13f,  // norm 5e-13, divided by 1e-12
                                    3e-11f, 4e-11f, 0.0f,    // norm 5e-11, above the floor
                                    3e25f,  0.0f,   -4e25f,  // squares beyond float
                                    1e-30f, 0.0f,   0.0f};   // squares below float
    const StridedMatrix x(backend, values, 5, 3), y(backend, 5, 3);
    const Buffer<float> inverse_norms = garbage(backend, 5);
    backend.row_normalize(x.view(), y.view(), inverse_norms.span());
    const std::vector<double> expected{0, 0, 0, 0.3, 0, 0.4, 0.6, 0.8, 0, 0.6, 0, -0.8, 1e-18, 0, 0};
    const std::vector<float> unit = y.values();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(unit[i] == Approx(expected[i]).epsilon(1e-6).margin(1e-30));
    }
    CHECK(inverse_norms.download()[0] == Approx(1e12));
    CHECK(inverse_norms.download()[1] == Approx(1e12));

    const std::vector<float> upstream(15, 2.0f);
    const StridedMatrix dy(backend, upstream, 5, 3), dx(backend, 5, 3);
    backend.row_normalize_backward(y.view(), inverse_norms.span(), dy.view(), dx.view());
    const std::vector<float> gradient = dx.values();
    // At the floor the divisor is a constant.
    for (const std::size_t i : {0, 1, 2, 3, 4, 5, 12, 13, 14}) CHECK(gradient[i] == Approx(2e12));
    // Above it: (2 - y (2 * 1.4)) / 5e-11.
    CHECK(gradient[6] == Approx((2.0 - 0.6 * 2.8) / 5e-11).epsilon(1e-5));
    CHECK(gradient[8] == Approx(2.0 / 5e-11).epsilon(1e-5));
  });
}

TEST_CASE("row_normalize_backward equals central differences") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 40}, {9, 2}, {6, 35}}) {
      const std::vector<float> values = random_values(rows * columns, 5);
      const std::vector<float> upstream = random_values(rows * columns, 6);
      const StridedMatrix x(backend, values, rows, columns), dy(backend, upstream, rows, columns, 2);
      const StridedMatrix y(backend, rows, columns), dx(backend, rows, columns, 5);
      const Buffer<float> inverse_norms(backend, rows);
      backend.row_normalize(x.view(), y.view(), inverse_norms.span());
      backend.row_normalize_backward(y.view(), inverse_norms.span(), dy.view(), dx.view());
      const auto loss = [&, r = rows, c = columns](const std::vector<double>& at) {
        const std::vector<double> unit = normalized(at, r, c);
        double sum = 0.0;
        for (std::size_t i = 0; i < unit.size(); ++i) sum += unit[i] * upstream[i];
        return sum;
      };
      // One column: the gradient is 0, and what is left is rounding.
      CHECK(relative_error(dx.values(), central_differences(loss, to_double(values)), 0.1) < 1e-5);
    }
  });
}

TEST_CASE("row_normalize gives the same bits on any number of threads") {
  const std::vector<float> values = random_values(700 * 65, 8), upstream = random_values(700 * 65, 9);
  check_same_bits([&](Backend& backend) {
    const StridedMatrix x(backend, values, 700, 65), dy(backend, upstream, 700, 65);
    const StridedMatrix y(backend, 700, 65), dx(backend, 700, 65);
    const Buffer<float> inverse_norms(backend, 700);
    backend.row_normalize(x.view(), y.view(), inverse_norms.span());
    backend.row_normalize_backward(y.view(), inverse_norms.span(), dy.view(), dx.view());
    return std::pair{y.values(), dx.values()};
  });
}

TEST_CASE("row_normalize refuses shapes that do not fit") {
  CpuBackend backend(1);
  std::vector<float> values(6), norms(2);
  const MatrixView two(values.data(), 2, 3), three(values.data(), 3, 2);
  CHECK_THROWS_AS(backend.row_normalize(two, three, norms), Error);
  CHECK_THROWS_AS(backend.row_normalize(three, three, norms), Error);
  CHECK_THROWS_AS(backend.row_normalize_backward(two, norms, three, two), Error);
  CHECK_THROWS_AS(backend.row_normalize_backward(two, norms, two, three), Error);
}
