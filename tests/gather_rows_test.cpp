#include <cmath>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"
#include "support/triples.hpp"

using namespace sea;
using namespace sea::test;

namespace {

std::vector<float> naive(const std::vector<float>& x, std::int64_t width,
                         const std::vector<std::int32_t>& index, std::int64_t count) {
  std::vector<float> y(index.size() * static_cast<std::size_t>(width));
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < width; ++j) y[i * width + j] = x[index[i] * width + j];
  }
  return y;
}

/// The rows of dy added to the rows that `index` names, in their order.
std::vector<float> naive_backward(const std::vector<float>& dy, std::int64_t width,
                                  const std::vector<std::int32_t>& index, std::int64_t count,
                                  std::int64_t first_row, std::int64_t rows) {
  std::vector<float> dx(static_cast<std::size_t>(rows * width));
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < width; ++j) dx[(first_row + index[i]) * width + j] += dy[i * width + j];
  }
  return dx;
}

std::vector<float> backward(Backend& backend, const DeviceTriples& triples, const std::vector<float>& up,
                            std::int64_t batch_size, std::int64_t width, BatchRole role,
                            std::int64_t first_node, std::int64_t rows, Layout of_dy = {1},
                            Layout of_dx = {}) {
  const StridedMatrix dy(backend, up, batch_size, width, of_dy), dx(backend, rows, width, of_dx);
  backend.gather_rows_backward(dy.view(), triples.order(), role, first_node, triples.state(), dx.view());
  return dx.values();
}

}  // namespace

TEST_CASE("gather_rows takes rows by their index") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, width, size] : {std::tuple{1, 1, 1},
                                            {37, 1, 5000},
                                            {9, 3, 20},
                                            {50, 64, 301},
                                            {300, 33, 65},
                                            {4, 1023, 3},
                                            {4, 1024, 5},
                                            {3, 1025, 2},
                                            {2, 4100, 3}}) {
      CAPTURE(rows, width, size);
      const std::vector<float> values = random_values(rows * width, 1);
      const std::vector<std::int32_t> index = random_indices(size, rows, 2);
      const Buffer<std::int32_t> device_index = to_device(backend, index);
      for (const Layout of_x : {Layout{0, 0}, Layout{4, 4}, Layout{3, 1}}) {
        for (const Layout of_y : {Layout{0, 0}, Layout{8, 4}, Layout{5, 0}}) {
          const StridedMatrix x(backend, values, rows, width, of_x), y(backend, size, width, of_y);
          backend.gather_rows(x.view(), device_index.span(), nullptr, y.view());
          CHECK(y.values() == naive(values, width, index, size));
        }
      }
    }
  });
}

TEST_CASE("gather_rows of a batch that is not full writes zeros, and reads no index, behind its rows") {
  for_each_backend([](Backend& backend) {
    for (const int width : {1, 7, 64}) {
      for (const std::int64_t count : {0, 1, 41, 90}) {
        const std::vector<float> values = random_values(30 * width, 1);
        std::vector<std::int32_t> index = random_indices(90, 30, 2);
        for (std::int64_t i = count; i < 90; ++i) index[i] = std::numeric_limits<std::int32_t>::max();
        const Buffer<std::int32_t> device_index = to_device(backend, index);
        const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{5, 4, 3, count}});
        for (const Layout layout : {Layout{0, 0}, Layout{5, 0}}) {
          const StridedMatrix x(backend, values, 30, width), y(backend, 90, width, layout);
          const StridedMatrix aligned(backend, values, 30, width, Layout{0, 0});
          backend.gather_rows(x.view(), device_index.span(), state.data(), y.view());
          CHECK(y.values() == naive(values, width, index, count));
          backend.gather_rows(aligned.view(), device_index.span(), state.data(), y.view());
          CHECK(y.values() == naive(values, width, index, count));
        }
      }
    }
  });
}

TEST_CASE("gather_rows keeps a NaN in its rows") {
  for_each_backend([](Backend& backend) {
    std::vector<float> values = random_values(3 * 8, 1);
    values[8 + 5] = std::nanf("");
    const StridedMatrix x(backend, values, 3, 8), y(backend, 4, 8);
    const Buffer<std::int32_t> index = to_device(backend, std::vector<std::int32_t>{1, 0, 2, 1});
    backend.gather_rows(x.view(), index.span(), nullptr, y.view());
    const std::vector<float> rows = y.values();
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(std::isnan(rows[i]) == (i == 5 || i == 24 + 5));
  });
}

TEST_CASE("gather_rows_backward sums by row, for users, positives and negatives, from each kind of table") {
  for_each_backend([](Backend& backend) {
    for (const auto& [users, items, width, batch_size, count] : {std::tuple{1, 2, 1, 1, 1},
                                                                 {12, 9, 5, 60, 60},
                                                                 {12, 9, 8, 60, 47},
                                                                 {500, 40, 64, 301, 299},
                                                                 {20, 30, 33, 200, 1},
                                                                 {5, 4, 129, 30, 0},
                                                                 {7, 6, 516, 40, 33}}) {
      CAPTURE(users, items, width, batch_size, count);
      Triples triples = random_triples(batch_size, users, items);
      // One item that the batch has very often.
      for (std::int64_t i = 0; i < batch_size; i += 3) triples.positives[i] = 1;
      const DeviceTriples device(backend, triples, users, count);
      const std::vector<float> up = random_values(batch_size * width, 7);
      const auto check = [&, b = batch_size, w = width, n = count](
                             BatchRole role, const std::vector<std::int32_t>& index, std::int64_t first_node,
                             std::int64_t first_row, std::int64_t rows) {
        const std::vector<float> expected = naive_backward(up, w, index, n, first_row, rows);
        for (const Layout of_dy : {Layout{0, 0}, Layout{4, 4}, Layout{3, 1}}) {
          for (const Layout of_dx : {Layout{0, 0}, Layout{8, 4}, Layout{5, 0}}) {
            CHECK(backward(backend, device, up, b, w, role, first_node, rows, of_dy, of_dx) == expected);
          }
        }
      };
      const std::int64_t nodes = users + items;
      check(BatchRole::user, triples.users, 0, 0, users);
      check(BatchRole::positive, triples.positives, users, 0, items);
      check(BatchRole::negative, triples.negatives, users, 0, items);
      check(BatchRole::user, triples.users, 0, 0, nodes);
      check(BatchRole::positive, triples.positives, 0, users, nodes);
      check(BatchRole::negative, triples.negatives, 0, users, nodes);
    }
  });
}

TEST_CASE("gather_rows_backward equals central differences") {
  constexpr std::int64_t users = 6, items = 5, width = 3, batch_size = 20, count = 17;
  const Triples triples = random_triples(batch_size, users, items);
  const std::vector<float> x = random_values(items * width, 1), up = random_values(batch_size * width, 2);
  const auto loss = [&](const std::vector<double>& at) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::int64_t j = 0; j < width; ++j) {
        sum += at[triples.positives[i] * width + j] * up[i * width + j];
      }
    }
    return sum;
  };
  const std::vector<double> expected = central_differences(loss, to_double(x));
  for_each_backend([&](Backend& backend) {
    const DeviceTriples device(backend, triples, users, count);
    const std::vector<float> dx =
        backward(backend, device, up, batch_size, width, BatchRole::positive, users, items);
    CHECK(relative_error(dx, expected) < 1e-6);
  });
}

TEST_CASE("gather_rows_backward of a NaN reaches its row alone") {
  for_each_backend([](Backend& backend) {
    const Triples triples{{2, 0, 2}, {0, 1, 0}, {1, 0, 1}};
    const DeviceTriples device(backend, triples, 3, 3);
    std::vector<float> up = random_values(3 * 4, 3);
    up[4] = std::nanf("");
    const std::vector<float> dx = backward(backend, device, up, 3, 4, BatchRole::user, 0, 3);
    for (std::size_t i = 0; i < dx.size(); ++i) CHECK(std::isnan(dx[i]) == (i == 0));
  });
}

TEST_CASE("gather_rows gives the same bits on any number of threads") {
  const Triples triples = random_triples(2000, 900, 50);
  const std::vector<float> values = random_values(50 * 65, 1), up = random_values(2000 * 65, 2);
  check_same_bits([&](Backend& backend) {
    const DeviceTriples device(backend, triples, 900, 1999);
    const StridedMatrix x(backend, values, 50, 65), y(backend, 2000, 65);
    backend.gather_rows(x.view(), device.batch().positives, device.state(), y.view());
    return std::pair{y.values(), backward(backend, device, up, 2000, 65, BatchRole::positive, 900, 50)};
  });
}

TEST_CASE("gather_rows refuses shapes that do not fit") {
  CpuBackend backend(1);
  std::vector<float> values(12);
  std::vector<std::int32_t> indices(12);
  const StepState two{0, 0, 0, 2}, five{0, 0, 0, 5};
  const MatrixView x(values.data(), 4, 3), y(values.data(), 2, 3), narrow(values.data(), 2, 2);
  const IndexView index(indices.data(), 2), six(indices.data(), 6);
  CHECK_THROWS_AS(backend.gather_rows(x, index, &two, x), Error);
  CHECK_THROWS_AS(backend.gather_rows(x, index, &two, narrow), Error);
  CHECK_THROWS_AS(backend.gather_rows(x, index, &five, y), Error);
  const auto user = BatchRole::user;
  CHECK_THROWS_AS(backend.gather_rows_backward(narrow, {six, six}, user, 0, &two, x), Error);
  CHECK_THROWS_AS(backend.gather_rows_backward(y, {index, six}, user, 0, &two, x), Error);
  CHECK_THROWS_AS(backend.gather_rows_backward(y, {six, index}, user, 0, &two, x), Error);
  CHECK_THROWS_AS(backend.gather_rows_backward(y, {six, six}, user, 0, &five, x), Error);
}
