#include <cmath>

#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

double norm_of(const double* row, std::int64_t columns) {
  double sum = 0.0;
  for (std::int64_t j = 0; j < columns; ++j) sum += row[j] * row[j];
  const double norm = std::sqrt(sum);
  return norm < 1e-12 ? 1e-12 : norm;
}

Values normalized(const std::vector<double>& x, std::int64_t columns) {
  std::vector<double> y, inverse_norms;
  for (std::size_t row = 0; row < x.size(); row += columns) {
    inverse_norms.push_back(1.0 / norm_of(&x[row], columns));
    for (std::int64_t j = 0; j < columns; ++j) y.push_back(x[row + j] * inverse_norms.back());
  }
  return {y, inverse_norms};
}

Operator row_normalize(std::int64_t rows, std::int64_t columns, const std::vector<float>& values = {}) {
  Operator described;
  described.inputs = {{rows, columns, values}};
  described.outputs = {{rows, columns}, {1, rows, {}, true}};
  described.run = [](Backend& backend, const Views& in, const Views& out) {
    backend.row_normalize(in[0], out[0], vector_of(out[1]));
  };
  described.reference = [=](const Values& in) { return normalized(in[0], columns); };
  described.tolerance = 1e-7;
  return described;
}

/// From unit rows Y, the inverse norms, and dY.
Operator row_normalize_backward(std::int64_t rows, std::int64_t columns) {
  const Values unit = normalized(to_double(random_values(rows * columns, 5)), columns);
  Operator described;
  described.inputs = {{rows, columns, {unit[0].begin(), unit[0].end()}},
                      {1, rows, {unit[1].begin(), unit[1].end()}, true},
                      {rows, columns}};
  described.outputs = {{rows, columns}};
  described.run = [](Backend& backend, const Views& in, const Views& out) {
    backend.row_normalize_backward(in[0], vector_of(in[1]), in[2], out[0]);
  };
  described.reference = [=](const Values& in) {
    std::vector<double> dx;
    for (std::int64_t i = 0; i < rows; ++i) {
      double along = 0.0;
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) along += in[0][j] * in[2][j];
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j)
        dx.push_back((in[2][j] - in[0][j] * along) * in[1][i]);
    }
    return Values{dx};
  };
  if (rows * columns < 300) {
    // In terms of X, of which Y and the norms were made.
    described.differences = [=](const Values& in) {
      const auto loss = [&](const std::vector<double>& at) {
        const std::vector<double> y = normalized(at, columns)[0];
        double sum = 0.0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * in[2][i];
        return sum;
      };
      return Values{central_differences(loss, to_double(random_values(rows * columns, 5)))};
    };
  }
  // One column: the gradient is 0, and what is left is rounding.
  described.tolerance = 1e-5;
  described.floor = 0.1;
  return described;
}

}  // namespace

TEST_CASE("row_normalize divides rows by their norm") {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 33}, {41, 1}, {7, 31}, {12, 64}})
    check_operator(row_normalize(rows, columns));
  check_outputs(row_normalize(301, 64));
  check_outputs(row_normalize(5, 4099));
  // A long row whose squares a float would round away, one after the other.
  std::vector<float> values(8200, 1e-4f);
  for (std::size_t j = 0; j < 32; ++j) values[j] = 1.0f;
  check_outputs(row_normalize(1, 8200, values));
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
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(unit[i] == Approx(expected[i]).epsilon(1e-6).margin(1e-30));
    CHECK(inverse_norms.download()[0] == Approx(1e12));
    CHECK(inverse_norms.download()[1] == Approx(1e12));

    const StridedMatrix dy(backend, std::vector<float>(15, 2.0f), 5, 3), dx(backend, 5, 3);
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
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 40}, {9, 2}, {6, 35}, {10, 100}})
    check_operator(row_normalize_backward(rows, columns));
}

TEST_CASE("row_normalize gives the same bits on any number of threads") {
  check_threads(row_normalize(700, 65));
  check_threads(row_normalize_backward(700, 65));
}

TEST_CASE("row_normalize refuses shapes that do not fit") {
  check_refuses(row_normalize(3, 2));
  check_refuses(row_normalize_backward(3, 2));
}
