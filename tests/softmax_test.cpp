#include <algorithm>
#include <cmath>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<double> naive(const std::vector<double>& x, std::int64_t columns, double scale) {
  std::vector<double> y(x.size());
  for (std::size_t row = 0; row < x.size(); row += static_cast<std::size_t>(columns)) {
    double largest = -infinity, sum = 0.0;
    for (std::int64_t j = 0; j < columns; ++j) largest = std::max(largest, scale * x[row + j]);
    for (std::int64_t j = 0; j < columns; ++j) sum += std::exp(scale * x[row + j] - largest);
    for (std::int64_t j = 0; j < columns; ++j) y[row + j] = std::exp(scale * x[row + j] - largest) / sum;
  }
  return y;
}

double naive_loss(const std::vector<double>& x, std::int64_t columns, double scale,
                  const std::vector<float>& upstream) {
  const std::vector<double> y = naive(x, columns, scale);
  double sum = 0.0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * upstream[i];
  return sum;
}

/// Both sides of where rows are taken in another way: a power of two of lanes, a vector, a warp, a block.
constexpr std::pair<int, int> shapes[] = {{1, 1},   {5, 1},    {301, 2},  {7, 3},    {65, 4},  {33, 5},
                                          {31, 16}, {64, 17},  {70, 31},  {9, 32},   {67, 33}, {41, 64},
                                          {3, 300}, {2, 1023}, {3, 1024}, {3, 1025}, {2, 4099}};

}  // namespace

TEST_CASE("softmax of rows, also in place") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : shapes) {
      for (const float scale : {1.0f, 5.0f, -2.0f}) {
        CAPTURE(rows, columns, scale);
        std::vector<float> values = random_values(rows * columns, 3);
        for (float& value : values) value = 3.0f * value + 1.0f;
        const StridedMatrix x(backend, values, rows, columns), y(backend, rows, columns, 7);
        backend.softmax(x.view(), scale, y.view());
        const std::vector<double> expected = naive(to_double(values), columns, scale);
        CHECK(relative_error(y.values(), expected) < 1e-6);
        const std::vector<float> result = y.values();
        double worst = 0.0;
        for (std::size_t i = 0; i < result.size(); ++i) {
          worst = std::max(worst, std::abs(result[i] - expected[i]) / expected[i]);
        }
        CHECK(worst < 5e-6);
        backend.softmax(x.view(), scale, x.view());
        CHECK(x.values() == result);
      }
    }
  });
}

TEST_CASE("softmax and its backward in every layout") {
  for (const int columns : {2, 20, 64}) {
    const std::vector<float> values = random_values(9 * columns, 1), up = random_values(9 * columns, 2);
    for_each_backend([&](Backend& backend) {
      std::vector<float> y0, dx0;
      for (const Layout of_x : layouts) {
        for (const Layout of_y : layouts) {
          const StridedMatrix x(backend, values, 9, columns, of_x), y(backend, 9, columns, of_y);
          const StridedMatrix dy(backend, up, 9, columns, of_x), dx(backend, 9, columns, of_y);
          backend.softmax(x.view(), 2.0f, y.view());
          backend.softmax_backward(y.view(), dy.view(), 2.0f, dx.view());
          if (y0.empty()) {
            y0 = y.values();
            dx0 = dx.values();
            CHECK(relative_error(y0, naive(to_double(values), columns, 2.0)) < 1e-6);
          }
          CHECK(y.values() == y0);
          CHECK(dx.values() == dx0);
        }
      }
    });
  }
}

TEST_CASE("softmax of large, infinite and equal elements") {
  for_each_backend([](Backend& backend) {
    for (const int columns : {3, 40, 1200}) {
      CAPTURE(columns);
      std::vector<float> values(static_cast<std::size_t>(5 * columns), -infinity);
      values[1] = 3e38f;                                               // one that outweighs all
      for (int j = 0; j < columns; ++j) values[columns + j] = -3e38f;  // all equal
      values[2 * columns] = values[3 * columns - 1] = 7.0f;            // two of weight
      values[3 * columns + 1] = infinity;                              // as torch has it: not a number
      values[4 * columns + 2] = std::nanf("");                         // likewise
      const StridedMatrix x(backend, values, 5, columns), y(backend, 5, columns);
      backend.softmax(x.view(), 1.0f, y.view());
      const std::vector<float> rows = y.values();
      bool right = true;
      for (int j = 0; j < columns; ++j) {
        right = right && rows[j] == (j == 1 ? 1.0f : 0.0f);
        right = right && std::abs(rows[columns + j] * static_cast<float>(columns) - 1.0f) < 1e-6f;
        right = right && rows[2 * columns + j] == (j == 0 || j == columns - 1 ? 0.5f : 0.0f);
        right = right && (j != 1 || std::isnan(rows[3 * columns + j]));
        right = right && std::isnan(rows[4 * columns + j]);
      }
      CHECK(right);
    }
  });
}

TEST_CASE("softmax_backward equals central differences, also in place, and keeps a NaN in its row") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : shapes) {
      CAPTURE(rows, columns);
      const float scale = 1.7f;
      const std::vector<float> values = random_values(rows * columns, 5);
      std::vector<float> upstream = random_values(rows * columns, 6);
      const StridedMatrix x(backend, values, rows, columns), dy(backend, upstream, rows, columns, 2);
      const StridedMatrix y(backend, rows, columns), dx(backend, rows, columns, 5);
      backend.softmax(x.view(), scale, y.view());
      backend.softmax_backward(y.view(), dy.view(), scale, dx.view());
      const std::vector<double> at = to_double(values);
      std::vector<double> expected;
      if (rows * columns < 400) {
        expected = central_differences(
            [&, c = columns](const std::vector<double>& p) { return naive_loss(p, c, scale, upstream); }, at);
      } else {
        const std::vector<double> of_x = naive(at, columns, scale);
        for (int i = 0; i < rows; ++i) {
          double along = 0.0;
          for (int j = 0; j < columns; ++j) along += of_x[i * columns + j] * upstream[i * columns + j];
          for (int j = 0; j < columns; ++j) {
            expected.push_back(scale * of_x[i * columns + j] * (upstream[i * columns + j] - along));
          }
        }
      }
      // One column: the gradient is 0.
      CHECK(relative_error(dx.values(), expected, 0.1) < 2e-6);
      backend.softmax_backward(y.view(), dy.view(), scale, dy.view());
      CHECK(dy.values() == dx.values());

      upstream[0] = std::nanf("");
      const StridedMatrix bad(backend, upstream, rows, columns);
      backend.softmax_backward(y.view(), bad.view(), scale, dx.view());
      const std::vector<float> gradient = dx.values();
      bool right = true;
      for (int i = 0; i < rows * columns; ++i) right = right && std::isnan(gradient[i]) == (i < columns);
      CHECK(right);
    }
  });
}

TEST_CASE("softmax gives the same bits on any number of threads") {
  for (const auto& [rows, columns] : {std::pair{20001, 2}, {700, 65}, {40, 3001}}) {
    const std::vector<float> values = random_values(rows * columns, 8), up = random_values(rows * columns, 9);
    check_same_bits([&, r = rows, c = columns](Backend& backend) {
      const StridedMatrix x(backend, values, r, c), dy(backend, up, r, c), y(backend, r, c),
          dx(backend, r, c);
      backend.softmax(x.view(), 1.5f, y.view());
      backend.softmax_backward(y.view(), dy.view(), 1.5f, dx.view());
      return std::pair{y.values(), dx.values()};
    });
  }
}

TEST_CASE("softmax refuses shapes that do not fit") {
  CpuBackend backend(1);
  std::vector<float> values(6);
  const MatrixView two(values.data(), 2, 3), three(values.data(), 3, 2);
  CHECK_THROWS_AS(backend.softmax(two, 1.0f, three), Error);
  CHECK_THROWS_AS(backend.softmax_backward(two, three, 1.0f, two), Error);
  CHECK_THROWS_AS(backend.softmax_backward(two, two, 1.0f, three), Error);
}
