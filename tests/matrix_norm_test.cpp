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

constexpr MatrixNorm all[] = {MatrixNorm::frobenius, MatrixNorm::mean_square, MatrixNorm::half_squares};

struct Result {
  float loss;
  std::vector<float> dx;
  bool operator==(const Result&) const = default;
};

/// Of the first `count` rows; of all where it is -1, without a step state.
Result run(Backend& backend, const std::vector<float>& values, std::int64_t rows, std::int64_t columns,
           MatrixNorm norm, double divisor, std::int64_t count, float weight, Layout of_x = {},
           Layout of_dx = {1}) {
  const StridedMatrix x(backend, values, rows, columns, of_x), dx(backend, rows, columns, of_dx);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{1, 2, 3, count}});
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend, backend.matrix_norm_workspace(rows, columns));
  backend.matrix_norm(x.view(), norm, divisor, count < 0 ? nullptr : state.data(), weight, loss.data(),
                      dx.view(), workspace);
  return {loss.download()[0], dx.values()};
}

double naive(const std::vector<double>& x, std::int64_t columns, std::int64_t rows, MatrixNorm norm,
             double divisor) {
  double sum = 0.0;
  const std::int64_t elements = rows * columns;
  for (std::int64_t i = 0; i < elements; ++i) sum += x[i] * x[i];
  switch (norm) {
    case MatrixNorm::frobenius:
      return std::sqrt(sum) / divisor;
    case MatrixNorm::mean_square:
      return sum / static_cast<double>(elements) / divisor;
    case MatrixNorm::half_squares:
      return sum / 2.0 / divisor;
  }
  return 0.0;
}

}  // namespace

TEST_CASE("matrix_norm: losses and gradients") {
  for_each_backend([](Backend& backend) {
    // The last but two take more rows than one round of the blocks, with rows aligned and not.
    for (const auto& [rows, columns] : {std::pair{1, 1},
                                        {1, 17},
                                        {23, 7},
                                        {41, 2},
                                        {39, 32},
                                        {61, 33},
                                        {520, 257},
                                        {525, 1028},
                                        {1, 4100},
                                        {3, 2049}}) {
      const std::vector<float> values = random_values(rows * columns, 1);
      const std::vector<double> x = to_double(values);
      for (const MatrixNorm norm : all) {
        for (const std::int64_t count : {std::int64_t{-1}, (rows + 1) / std::int64_t{2}}) {
          if (emulated && count > 0 && rows > 500) continue;
          CAPTURE(rows, columns, static_cast<int>(norm), count);
          const std::int64_t valid = count < 0 ? rows : count;
          const double divisor = 2.5;
          const float weight = 0.6f;
          const Layout layout = columns % 4 == 0 ? Layout{4, 0} : Layout{2, 1};
          const Result result = run(backend, values, rows, columns, norm, divisor, count, weight, layout);
          CHECK(result.loss == Approx(naive(x, columns, valid, norm, divisor)).epsilon(1e-6));
          std::vector<double> expected;
          if (rows * columns < 300) {
            expected = central_differences(
                [&, c = columns](const std::vector<double>& at) {
                  return weight * naive(at, c, valid, norm, divisor);
                },
                x);
          } else {
            double slope = weight / divisor;
            if (norm == MatrixNorm::frobenius) slope /= divisor * naive(x, columns, valid, norm, divisor);
            if (norm == MatrixNorm::mean_square) slope *= 2.0 / static_cast<double>(valid * columns);
            for (std::int64_t i = 0; i < rows * columns; ++i) {
              expected.push_back(i < valid * columns ? slope * x[i] : 0.0);
            }
          }
          CHECK(relative_error(result.dx, expected) < 1e-6);
          bool zeros = true;
          for (std::int64_t i = valid * columns; i < rows * columns; ++i)
            zeros = zeros && result.dx[i] == 0.0f;
          CHECK(zeros);
        }
      }
    }
  });
}

TEST_CASE("matrix_norm in every layout") {
  const std::vector<float> values = random_values(9 * 20, 1);
  for_each_backend([&](Backend& backend) {
    for (const MatrixNorm norm : all) {
      const Result expected = run(backend, values, 9, 20, norm, 1.0, -1, 1.0f);
      for (const Layout of_x : layouts) {
        for (const Layout of_dx : layouts) {
          const Result result = run(backend, values, 9, 20, norm, 1.0, -1, 1.0f, of_x, of_dx);
          CHECK(result.loss == Approx(expected.loss).epsilon(1e-6));
          CHECK(relative_error(result.dx, to_double(expected.dx)) < 1e-6);
        }
      }
    }
  });
}

TEST_CASE("matrix_norm looks at no row behind the batch") {
  for_each_backend([](Backend& backend) {
    std::vector<float> values = random_values(10 * 8, 1);
    for (std::size_t i = 6 * 8; i < values.size(); ++i) values[i] = std::nanf("");
    for (const MatrixNorm norm : all) {
      for (const Layout layout : {Layout{0, 0}, Layout{3, 0}}) {
        const Result result = run(backend, values, 10, 8, norm, 1.0, 6, 1.0f, layout, layout);
        CHECK(result.loss == Approx(naive(to_double(values), 8, 6, norm, 1.0)).epsilon(1e-6));
        bool right = true;
        for (std::size_t i = 0; i < values.size(); ++i)
          right = right && (result.dx[i] != 0.0f) == (i < 6 * 8);
        CHECK(right);
      }
    }
  });
}

TEST_CASE("matrix_norm of zeros has the gradient 0, of a NaN it is none") {
  for_each_backend([](Backend& backend) {
    std::vector<float> values(12);
    for (const MatrixNorm norm : all) {
      const Result result = run(backend, values, 3, 4, norm, 1.0, -1, 1.0f);
      CHECK(result.loss == 0.0f);
      CHECK(result.dx == std::vector<float>(12));
    }
    // Squares beyond float, not beyond double.
    const Result large = run(backend, {3e30f, 4e30f}, 1, 2, MatrixNorm::frobenius, 1.0, -1, 1.0f);
    CHECK(large.loss == Approx(5e30));
    CHECK(large.dx[0] == Approx(0.6));
    CHECK(large.dx[1] == Approx(0.8));
    values[5] = std::nanf("");
    for (const MatrixNorm norm : all) {
      CHECK(std::isnan(run(backend, values, 3, 4, norm, 1.0, -1, 1.0f).loss));
    }
    for (const float gradient : run(backend, values, 3, 4, MatrixNorm::frobenius, 1.0, -1, 1.0f).dx) {
      CHECK(std::isnan(gradient));
    }
  });
}

TEST_CASE("matrix_norm gives the same bits on any number of threads") {
  for (const auto& [rows, columns] : {std::pair{2003, 33}, {30001, 2}}) {
    const std::vector<float> values = random_values(rows * columns, 1);
    for (const MatrixNorm norm : all) {
      check_same_bits([&, r = rows, c = columns](Backend& backend) {
        return run(backend, values, r, c, norm, 3.0, r - 5, 0.7f);
      });
    }
  }
}

TEST_CASE("matrix_norm refuses shapes that do not fit") {
  CpuBackend backend(1);
  const Buffer<float> m = garbage(backend, 12);
  const GarbageWorkspace workspace(backend, backend.matrix_norm_workspace(4, 3));
  const auto call = [&](MatrixView x, MatrixView dx, double divisor, std::int64_t count, Workspace scratch) {
    const StepState state{0, 0, 0, count};
    backend.matrix_norm(x, MatrixNorm::frobenius, divisor, &state, 1.0f, m.data(), dx, scratch);
  };
  CHECK_THROWS_AS(call(m.matrix(4, 3), m.matrix(3, 4), 1.0, 4, workspace), Error);
  CHECK_THROWS_AS(call(m.matrix(4, 3), m.matrix(4, 3), 0.0, 4, workspace), Error);
  CHECK_THROWS_AS(call(m.matrix(4, 3), m.matrix(4, 3), 1.0, 5, workspace), Error);
  CHECK_THROWS_AS(call(m.matrix(4, 3), m.matrix(4, 3), 1.0, 0, workspace), Error);
  CHECK_THROWS_AS(call(m.matrix(4, 3), m.matrix(4, 3), 1.0, 4, Workspace{}), Error);
}
