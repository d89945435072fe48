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

std::vector<double> naive(const std::vector<double>& a, const std::vector<double>& b, std::int64_t rows,
                          std::int64_t width, std::int64_t blocks) {
  std::vector<double> y;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t block = 0; block < blocks; ++block) {
      double sum = 0.0;
      for (std::int64_t j = 0; j < width; ++j) sum += a[i * width + j] * b[(i * blocks + block) * width + j];
      y.push_back(sum);
    }
  }
  return y;
}

double weighted_sum(const std::vector<double>& values, const std::vector<float>& weights) {
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] * static_cast<double>(weights[i]);
  return sum;
}

struct Shape {
  std::int64_t rows, width, blocks;
};
constexpr Shape shapes[] = {{1, 1, 1}, {9, 3, 5}, {8, 64, 4}, {33, 33, 2}, {5, 130, 1}};

}  // namespace

TEST_CASE("row_dot and its gradients") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, width, blocks] : shapes) {
      for (const std::int64_t gap : {0, 3, 4}) {
        CAPTURE(rows, width, blocks, gap);
        const std::vector<float> left = random_values(rows * width, 1),
                                 right = random_values(rows * width * blocks, 2),
                                 upstream = random_values(rows * blocks, 3);
        const StridedMatrix a(backend, left, rows, width, gap), b(backend, right, rows, blocks * width, gap),
            y(backend, rows, blocks, gap), dy(backend, upstream, rows, blocks, gap),
            da(backend, rows, width, gap), db(backend, rows, blocks * width, gap);
        backend.row_dot(a.view(), b.view(), y.view());
        const std::vector<double> a0 = to_double(left), b0 = to_double(right);
        CHECK(relative_error(y.values(), naive(a0, b0, rows, width, blocks)) < 1e-6);
        backend.row_dot_backward(a.view(), b.view(), dy.view(), da.view(), db.view());
        const auto of_a = [&, r = rows, w = width, n = blocks](const std::vector<double>& at) {
          return weighted_sum(naive(at, b0, r, w, n), upstream);
        };
        const auto of_b = [&, r = rows, w = width, n = blocks](const std::vector<double>& at) {
          return weighted_sum(naive(a0, at, r, w, n), upstream);
        };
        CHECK(relative_error(da.values(), central_differences(of_a, a0)) < 1e-6);
        CHECK(relative_error(db.values(), central_differences(of_b, b0)) < 1e-6);

        const StridedMatrix da_alone(backend, rows, width, gap), db_alone(backend, rows, blocks * width, gap);
        backend.row_dot_backward(a.view(), b.view(), dy.view(), da_alone.view(), {});
        backend.row_dot_backward(a.view(), b.view(), dy.view(), {}, db_alone.view());
        CHECK(da_alone.values() == da.values());
        CHECK(db_alone.values() == db.values());
      }
    }
  });
}

TEST_CASE("row_dot gives the same bits on any number of threads") {
  const std::vector<float> left = random_values(2000 * 65, 4), right = random_values(2000 * 130, 5);
  check_same_bits([&](Backend& backend) {
    const Buffer<float> a = to_device(backend, left), b = to_device(backend, right);
    const Buffer<float> y = garbage(backend, 4000), da = garbage(backend, 2000 * 65);
    backend.row_dot(a.matrix(2000, 65), b.matrix(2000, 130), y.matrix(2000, 2));
    backend.row_dot_backward(a.matrix(2000, 65), b.matrix(2000, 130), y.matrix(2000, 2), da.matrix(2000, 65),
                             {});
    return std::pair(y.download(), da.download());
  });
}

TEST_CASE("row_dot refuses shapes that do not fit") {
  CpuBackend backend(1);
  std::vector<float> values(12);
  const MatrixView a(values.data(), 2, 2), b(values.data(), 2, 4), y(values.data(), 2, 2),
      thin(values.data(), 2, 1);
  CHECK_THROWS_AS(backend.row_dot(a, b, thin), Error);
  CHECK_THROWS_AS(backend.row_dot(a, a, y), Error);
  CHECK_THROWS_AS(backend.row_dot_backward(a, b, thin, a, b), Error);
  CHECK_THROWS_AS(backend.row_dot_backward(a, b, y, b, {}), Error);
  CHECK_THROWS_AS(backend.row_dot_backward(a, b, y, {}, a), Error);
}
