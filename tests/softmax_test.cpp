#include <algorithm>
#include <cmath>
#include <limits>

#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Calls `row(first, end)` for the elements of each row.
template <class Function>
void for_each_row(std::size_t size, std::int64_t columns, const Function& row) {
  for (std::size_t first = 0; first < size; first += static_cast<std::size_t>(columns))
    row(first, first + static_cast<std::size_t>(columns));
}

Operator softmax(std::int64_t rows, std::int64_t columns, float scale) {
  Operator described;
  std::vector<float> values = random_values(rows * columns, 3);
  for (float& value : values) value = 3.0f * value + 1.0f;
  described.inputs = {{rows, columns, values}};
  described.outputs = {{rows, columns}};
  described.run = [scale](Backend& backend, const Views& in, const Views& out) {
    backend.softmax(in[0], scale, out[0]);
  };
  described.reference = [=](const Values& in) {
    std::vector<double> y = in[0];
    for_each_row(y.size(), columns, [&](std::size_t first, std::size_t end) {
      double largest = -infinity, sum = 0.0;
      for (std::size_t i = first; i < end; ++i) largest = std::max(largest, scale * y[i]);
      for (std::size_t i = first; i < end; ++i) sum += y[i] = std::exp(scale * y[i] - largest);
      for (std::size_t i = first; i < end; ++i) y[i] /= sum;
    });
    return Values{y};
  };
  return described;
}

/// Of Y, which is a softmax, and dY.
Operator softmax_backward(std::int64_t rows, std::int64_t columns, float scale) {
  const Operator forward = softmax(rows, columns, scale);
  const std::vector<double> y = forward.reference({to_double(forward.inputs[0].values)})[0];
  Operator described;
  described.inputs = {{rows, columns, {y.begin(), y.end()}}, {rows, columns}};
  described.outputs = {{rows, columns}};
  described.run = [scale](Backend& backend, const Views& in, const Views& out) {
    backend.softmax_backward(in[0], in[1], scale, out[0]);
  };
  described.reference = [=](const Values& in) {
    std::vector<double> dx = in[1];
    for_each_row(dx.size(), columns, [&](std::size_t first, std::size_t end) {
      double along = 0.0;
      for (std::size_t i = first; i < end; ++i) along += in[0][i] * in[1][i];
      for (std::size_t i = first; i < end; ++i) dx[i] = scale * in[0][i] * (in[1][i] - along);
    });
    return Values{dx};
  };
  if (rows * columns < 300) {
    described.differences = [=](const Values& in) {
      const auto loss = [&](const std::vector<double>& at) {
        const std::vector<double> of_at = forward.reference({at})[0];
        double sum = 0.0;
        for (std::size_t i = 0; i < of_at.size(); ++i) sum += of_at[i] * in[1][i];
        return sum;
      };
      return Values{central_differences(loss, to_double(forward.inputs[0].values))};
    };
  }
  // One column: the gradient is 0.
  described.tolerance = 2e-6;
  described.floor = 0.1;
  return described;
}

/// Both sides of where rows are taken in another way: a power of two of lanes, a vector, a warp, a block.
constexpr std::pair<int, int> shapes[] = {{1, 1},  {5, 1},   {301, 2}, {7, 3},  {65, 4},  {33, 5},
                                          {9, 16}, {17, 17}, {9, 31},  {9, 32}, {11, 33}, {4, 64}},
                              long_rows[] = {{3, 300}, {2, 1023}, {3, 1024}, {3, 1025}, {2, 4099}};

}  // namespace

TEST_CASE("softmax of rows, and its backward") {
  for (const auto& [rows, columns] : shapes) {
    check_operator(softmax(rows, columns, 5.0f));
    check_operator(softmax_backward(rows, columns, 1.7f));
  }
  for (const auto& [rows, columns] : long_rows) {
    for (const float scale : {1.0f, -2.0f}) {
      check_outputs(softmax(rows, columns, scale));
      check_outputs(softmax_backward(rows, columns, scale));
    }
  }
  for (const int columns : {5, 40, 1200}) {
    check_in_place(softmax(3, columns, 1.5f), {0});
    check_in_place(softmax_backward(3, columns, 1.5f), {1});
  }
}

TEST_CASE("softmax: the smallest elements are as exact as the largest") {
  for_each_backend([](Backend& backend) {
    const Operator described = softmax(67, 33, 5.0f);
    const std::vector<double> expected = described.reference({to_double(described.inputs[0].values)})[0];
    const std::vector<float> result = run_operator(backend, described)[0];
    double worst = 0.0;
    for (std::size_t i = 0; i < result.size(); ++i)
      worst = std::max(worst, std::abs(result[i] - expected[i]) / expected[i]);
    CHECK(worst < 5e-6);
  });
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

TEST_CASE("softmax gives the same bits on any number of threads") {
  for (const auto& [rows, columns] : {std::pair{20001, 2}, {700, 65}, {40, 3001}}) {
    check_threads(softmax(rows, columns, 1.5f));
    check_threads(softmax_backward(rows, columns, 1.5f));
  }
}

TEST_CASE("softmax refuses shapes that do not fit") {
  check_refuses(softmax(2, 3, 1.0f));
  check_refuses(softmax_backward(2, 3, 1.0f));
}
