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

std::vector<double> naive(const std::vector<double>& x, const std::vector<double>& e, std::int64_t columns) {
  std::vector<double> y(x.size());
  for (std::size_t row = 0; row < x.size(); row += columns) {
    double product = 0.0, x_square = 0.0, e_square = 0.0;
    for (std::size_t j = row; j < row + columns; ++j) {
      product += x[j] * e[j];
      x_square += x[j] * x[j];
      e_square += e[j] * e[j];
    }
    const double cosine =
        product / (std::max(std::sqrt(x_square), 1e-8) * std::max(std::sqrt(e_square), 1e-8));
    for (std::size_t j = row; j < row + columns; ++j) y[j] = cosine * x[j];
  }
  return y;
}

}  // namespace

TEST_CASE("cosine_scale multiplies rows by their cosine to other rows") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 33}, {41, 1}, {7, 31}, {301, 64}}) {
      const std::vector<float> values = random_values(rows * columns, 3),
                               other = random_values(rows * columns, 4);
      const StridedMatrix x(backend, values, rows, columns), e(backend, other, rows, columns, 1);
      const StridedMatrix y(backend, rows, columns, 7);
      backend.cosine_scale(x.view(), e.view(), y.view());
      CHECK(relative_error(y.values(), naive(to_double(values), to_double(other), columns)) < 1e-6);
    }
  });
}

TEST_CASE("cosine_scale: a NaN on either side is its whole row's, and no other's") {
  for_each_backend([](Backend& backend) {
    std::vector<float> values = random_values(3 * 40, 5), other = random_values(3 * 40, 6);
    values[3] = std::nanf("");
    other[2 * 40 + 33] = std::nanf("");
    const StridedMatrix x(backend, values, 3, 40), e(backend, other, 3, 40), y(backend, 3, 40);
    backend.cosine_scale(x.view(), e.view(), y.view());
    const std::vector<float> rows = y.values();
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(std::isnan(rows[i]) == (i / 40 != 1));
  });
}

TEST_CASE("cosine_scale of zero and tiny rows, and their gradients") {
  for_each_backend([](Backend& backend) {
    // Zero rows on either side; a row of norm 5e-9, which is divided by 1e-8; one of norm 5e-7, which is not.
    const std::vector<float> values{0.0f, 0.0f, 3.0f, 4.0f, 3e-9f, 4e-9f, 3e-7f, 4e-7f};
    const std::vector<float> other{1.0f, 2.0f, 0.0f, 0.0f, 2.0f, 0.0f, 2.0f, 0.0f};
    const StridedMatrix x(backend, values, 4, 2), e(backend, other, 4, 2), y(backend, 4, 2);
    backend.cosine_scale(x.view(), e.view(), y.view());
    const std::vector<float> scaled = y.values();
    const std::vector<double> expected{0, 0, 0, 0, 0.3 * 3e-9, 0.3 * 4e-9, 0.6 * 3e-7, 0.6 * 4e-7};
    for (std::size_t i = 0; i < 8; ++i) CHECK(scaled[i] == Approx(expected[i]).epsilon(1e-6));

    const StridedMatrix dy(backend, std::vector<float>(8, 1.0f), 4, 2), dx(backend, 4, 2), de(backend, 4, 2);
    backend.cosine_scale_backward(x.view(), e.view(), dy.view(), dx.view(), de.view());
    const std::vector<float> to_x = dx.values(), to_e = de.values();
    for (const std::size_t i : {0, 1}) {
      CHECK(to_x[i] == 0.0f);
      CHECK(to_e[i] == 0.0f);
    }
    for (const std::size_t i : {2, 3}) {
      CHECK(to_x[i] == 0.0f);
      // s = 7; X / (5 * 1e-8), nothing taken away at the floor.
      CHECK(to_e[i] == Approx(7.0 * values[i] / 5e-8).epsilon(1e-6));
    }
    // c = 0.3, s = 7e-9: c dY + s E / (1e-8 * 2), the norm at its floor being a constant.
    CHECK(to_x[4] == Approx(0.3 + 0.7).epsilon(1e-6));
    CHECK(to_x[5] == Approx(0.3).epsilon(1e-6));
    // c = 0.6, s = 7e-7: c dY + s (E / (5e-7 * 2) - c X / 25e-14).
    CHECK(to_x[6] == Approx(0.6 + 7e-7 * (1.0 / 5e-7 - 0.6 * 3e-7 / 25e-14)).epsilon(1e-5));
    CHECK(to_x[7] == Approx(0.6 - 7e-7 * 0.6 * 4e-7 / 25e-14).epsilon(1e-5));
  });
}

TEST_CASE("cosine_scale_backward equals central differences") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 40}, {9, 2}, {6, 35}}) {
      const std::vector<float> values = random_values(rows * columns, 5),
                               other = random_values(rows * columns, 6);
      const std::vector<float> upstream = random_values(rows * columns, 7);
      const StridedMatrix x(backend, values, rows, columns), e(backend, other, rows, columns, 4);
      const StridedMatrix dy(backend, upstream, rows, columns, 2);
      const StridedMatrix dx(backend, rows, columns, 5), de(backend, rows, columns);
      backend.cosine_scale_backward(x.view(), e.view(), dy.view(), dx.view(), de.view());
      const auto loss = [&, c = columns](const std::vector<double>& at_x, const std::vector<double>& at_e) {
        const std::vector<double> y = naive(at_x, at_e, c);
        double sum = 0.0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * upstream[i];
        return sum;
      };
      const std::vector<double> x0 = to_double(values), e0 = to_double(other);
      CHECK(relative_error(dx.values(), central_differences([&](auto& at) { return loss(at, e0); }, x0)) <
            1e-5);
      // One column: a sign does not move, and what is left is rounding.
      CHECK(relative_error(de.values(), central_differences([&](auto& at) { return loss(x0, at); }, e0),
                           0.1) < 1e-5);
    }
  });
}

TEST_CASE("cosine_scale gives the same bits on any number of threads") {
  const std::vector<float> values = random_values(700 * 65, 8), other = random_values(700 * 65, 9),
                           upstream = random_values(700 * 65, 10);
  check_same_bits([&](Backend& backend) {
    const StridedMatrix x(backend, values, 700, 65), e(backend, other, 700, 65),
        dy(backend, upstream, 700, 65);
    const StridedMatrix y(backend, 700, 65), dx(backend, 700, 65), de(backend, 700, 65);
    backend.cosine_scale(x.view(), e.view(), y.view());
    backend.cosine_scale_backward(x.view(), e.view(), dy.view(), dx.view(), de.view());
    return std::tuple{y.values(), dx.values(), de.values()};
  });
}

TEST_CASE("cosine_scale refuses shapes that do not fit") {
  CpuBackend backend(1);
  std::vector<float> values(6);
  const MatrixView two(values.data(), 2, 3), three(values.data(), 3, 2);
  CHECK_THROWS_AS(backend.cosine_scale(two, three, two), Error);
  CHECK_THROWS_AS(backend.cosine_scale(two, two, three), Error);
  CHECK_THROWS_AS(backend.cosine_scale_backward(two, three, two, two, two), Error);
  CHECK_THROWS_AS(backend.cosine_scale_backward(two, two, three, two, two), Error);
  CHECK_THROWS_AS(backend.cosine_scale_backward(two, two, two, three, two), Error);
  CHECK_THROWS_AS(backend.cosine_scale_backward(two, two, two, two, three), Error);
}
