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

double naive(const std::vector<double>& x, const std::vector<double>& target, std::int64_t count,
             std::int64_t columns) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    double product = 0.0, x_square = 0.0, target_square = 0.0;
    for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) {
      product += x[j] * target[j];
      x_square += x[j] * x[j];
      target_square += target[j] * target[j];
    }
    sum += product / (std::max(std::sqrt(x_square), 1e-8) * std::max(std::sqrt(target_square), 1e-8));
  }
  return 1.0 - sum / static_cast<double>(count);
}

struct Result {
  float loss;
  std::vector<float> dx;
  bool operator==(const Result&) const = default;
};

/// `count` -1: no state.
Result run(Backend& backend, const std::vector<float>& x, const std::vector<float>& target, std::int64_t rows,
           std::int64_t columns, std::int64_t count, float weight, std::int64_t gap = 3) {
  const StridedMatrix in(backend, x, rows, columns, gap), to(backend, target, rows, columns, gap + 2);
  const StridedMatrix dx(backend, rows, columns, gap + 1);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{5, 2, 9, count}});
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend, backend.cosine_loss_workspace(rows));
  backend.cosine_loss(in.view(), to.view(), count < 0 ? nullptr : state.data(), weight, loss.data(),
                      dx.view(), workspace);
  return {loss.download()[0], dx.values()};
}

}  // namespace

TEST_CASE("cosine_loss and its gradient against central differences") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns, count] :
         {std::tuple{1, 2, -1}, {1, 40, 1}, {9, 2, 8}, {7, 33, -1}, {8, 32, 5}, {41, 3, 40}, {65, 4, 64}}) {
      for (const std::int64_t gap : {0, 3, 4, 8}) {
        CAPTURE(rows, columns, count, gap);
        const std::int64_t valid = count < 0 ? rows : count;
        const std::vector<float> values = random_values(rows * columns, 1),
                                 other = random_values(rows * columns, 2);
        std::vector<float> x = values, target = other;
        // Rows behind the count hold what must not be read.
        std::fill(x.begin() + valid * columns, x.end(), std::nanf(""));
        std::fill(target.begin() + valid * columns, target.end(), std::nanf(""));
        const float weight = 0.7f;
        const Result result = run(backend, x, target, rows, columns, count, weight, gap);
        const std::vector<double> t = to_double(other);
        CHECK(result.loss == Approx(naive(to_double(values), t, valid, columns)).epsilon(1e-6).margin(1e-7));
        const auto loss = [&, c = columns](const std::vector<double>& at) {
          return weight * naive(at, t, valid, c);
        };
        CHECK(relative_error(result.dx, central_differences(loss, to_double(values)), 1e-3) < 1e-6);
        for (std::int64_t i = valid * columns; i < rows * columns; ++i) CHECK(result.dx[i] == 0.0f);
      }
    }
  });
}

TEST_CASE("cosine_loss of zero, tiny and huge rows") {
  for_each_backend([](Backend& backend) {
    // Zero on either side; a norm of 5e-9, at the floor; one of 5e-7, above it; squares beyond float.
    const std::vector<float> x{0.0f, 0.0f, 3.0f, 4.0f, 3e-9f, 4e-9f, 3e-7f, 4e-7f, 3e25f, 4e25f};
    const std::vector<float> target{1.0f, 2.0f, 0.0f, 0.0f, 2.0f, 0.0f, 2.0f, 0.0f, 2e25f, 0.0f};
    const Result result = run(backend, x, target, 5, 2, -1, 1.0f);
    CHECK(result.loss == Approx(1.0 - (0.3 + 0.6 + 0.6) / 5.0).epsilon(1e-6));
    const std::vector<double> expected{-0.2 / (1e-8 * std::sqrt(5.0)),
                                       -0.4 / (1e-8 * std::sqrt(5.0)),  // T over both norms, nothing inward
                                       0.0,
                                       0.0,
                                       -0.2 * 1e8,
                                       0.0,
                                       -0.2 * (1.0 / 5e-7 - 0.6 * 3e-7 / 25e-14),
                                       0.2 * 0.6 * 4e-7 / 25e-14,
                                       0.0,
                                       0.0};  // the last one's are below what a float tells from 0
    for (std::size_t i = 0; i < 10; ++i) {
      CAPTURE(i);
      CHECK(result.dx[i] == Approx(expected[i]).epsilon(2e-6).margin(1e-25));
    }
  });
}

TEST_CASE("cosine_loss: a NaN is its row's gradient's and the loss's") {
  for_each_backend([](Backend& backend) {
    std::vector<float> x = random_values(5 * 40, 5), target = random_values(5 * 40, 6);
    x[3] = std::nanf("");
    target[2 * 40 + 33] = std::nanf("");
    const Result result = run(backend, x, target, 5, 40, -1, 1.0f);
    CHECK(std::isnan(result.loss));
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(std::isnan(result.dx[i]) == (i / 40 == 0 || i / 40 == 2));
    }
  });
}

TEST_CASE("cosine_loss gives the same bits on any number of threads") {
  const std::vector<float> x = random_values(1300 * 65, 8), target = random_values(1300 * 65, 9);
  check_same_bits([&](Backend& backend) { return run(backend, x, target, 1300, 65, 1207, 1.0f); });
}

TEST_CASE("cosine_loss refuses what it cannot compute") {
  CpuBackend backend(1);
  std::vector<float> values(6);
  const MatrixView two(values.data(), 2, 3), three(values.data(), 3, 2);
  const GarbageWorkspace workspace(backend, backend.cosine_loss_workspace(2));
  CHECK_THROWS_AS(backend.cosine_loss(two, three, nullptr, 1.0f, values.data(), two, workspace), Error);
  CHECK_THROWS_AS(backend.cosine_loss(two, two, nullptr, 1.0f, values.data(), three, workspace), Error);
  CHECK_THROWS_AS(backend.cosine_loss(two, two, nullptr, 1.0f, values.data(), two, {}), Error);
  for (const std::int64_t count : {0, 3}) {
    const StepState state{0, 0, 0, count};
    CHECK_THROWS_AS(backend.cosine_loss(two, two, &state, 1.0f, values.data(), two, workspace), Error);
  }
}
