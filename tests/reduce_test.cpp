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

constexpr Reduction all[] = {Reduction::mean, Reduction::softplus, Reduction::softplus_of_negative,
                             Reduction::unit_norm_gap};

double naive(const std::vector<double>& x, std::int64_t columns, std::int64_t rows, Reduction reduction) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < rows; ++i) {
    double squares = 0.0;
    for (std::int64_t j = 0; j < columns; ++j) {
      const double value = x[static_cast<std::size_t>(i * columns + j)];
      squares += value * value;
      if (reduction == Reduction::mean) sum += value / static_cast<double>(rows * columns);
      if (reduction == Reduction::softplus) sum += std::log(1.0 + std::exp(value));
      if (reduction == Reduction::softplus_of_negative) sum += std::log(1.0 + std::exp(-value));
    }
    if (reduction == Reduction::unit_norm_gap)
      sum += std::pow(std::sqrt(squares) - 1.0, 2) / static_cast<double>(rows);
  }
  return sum;
}

struct Result {
  float loss;
  std::vector<float> dx;
  bool operator==(const Result&) const = default;
};

/// `count` -1: no state.
Result run(Backend& backend, const std::vector<float>& values, std::int64_t rows, std::int64_t columns,
           Reduction reduction, std::int64_t count, float weight, std::int64_t gap = 3) {
  const StridedMatrix x(backend, values, rows, columns, gap), dx(backend, rows, columns, gap + 1);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{1, 2, 3, count}});
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend, backend.reduce_workspace(rows, columns));
  backend.reduce(x.view(), reduction, count < 0 ? nullptr : state.data(), weight, loss.data(), dx.view(),
                 workspace);
  return {loss.download()[0], dx.values()};
}

}  // namespace

TEST_CASE("reduce and its gradients against central differences") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns, count] :
         {std::tuple{1, 1, -1}, {1, 40, 1}, {9, 2, 8}, {65, 1, 41}, {7, 33, -1}, {17, 8, 16}}) {
      for (const Reduction reduction : all) {
        CAPTURE(rows, columns, count, static_cast<int>(reduction));
        const std::int64_t valid = count < 0 ? rows : count;
        const std::vector<float> values = random_values(rows * columns, 1);
        std::vector<float> in = values;
        std::fill(in.begin() + valid * columns, in.end(), std::nanf(""));  // must not be read
        const float weight = 0.7f;
        const Result result = run(backend, in, rows, columns, reduction, count, weight);
        CHECK(result.loss ==
              Approx(naive(to_double(values), columns, valid, reduction)).epsilon(1e-6).margin(1e-7));
        const auto loss = [&, c = columns](const std::vector<double>& at) {
          return weight * naive(at, c, valid, reduction);
        };
        CHECK(relative_error(result.dx, central_differences(loss, to_double(values)), 1e-3) < 1e-6);
        for (std::int64_t i = valid * columns; i < rows * columns; ++i) CHECK(result.dx[i] == 0.0f);
      }
    }
  });
}

TEST_CASE("reduce: softplus of large numbers, the gap of a row of zeros") {
  for_each_backend([](Backend& backend) {
    const Result plus = run(backend, {-200.0f, 200.0f, 0.0f}, 3, 1, Reduction::softplus, -1, 1.0f);
    CHECK(plus.loss == Approx(200.0 + std::log(2.0)));
    CHECK(plus.dx == std::vector<float>{static_cast<float>(std::exp(-200.0)), 1.0f, 0.5f});
    const Result minus =
        run(backend, {-200.0f, 200.0f, 0.0f}, 3, 1, Reduction::softplus_of_negative, -1, 2.0f);
    CHECK(minus.loss == Approx(200.0 + std::log(2.0)));
    CHECK(minus.dx == std::vector<float>{-2.0f, -2.0f * static_cast<float>(std::exp(-200.0)), -1.0f});
    const Result gap = run(backend, {0.0f, 0.0f, 0.0f, 3.0f}, 2, 2, Reduction::unit_norm_gap, -1, 1.0f);
    CHECK(gap.loss == Approx(2.5));
    CHECK(gap.dx == std::vector<float>{0.0f, 0.0f, 0.0f, 2.0f});
    CHECK(std::isnan(run(backend, {std::nanf(""), 1.0f}, 2, 1, Reduction::softplus, -1, 1.0f).loss));
  });
}

TEST_CASE("reduce gives the same bits on any number of threads") {
  const std::vector<float> values = random_values(2600 * 65, 8);
  for (const Reduction reduction : all)
    check_same_bits([&](Backend& backend) { return run(backend, values, 2600, 65, reduction, 2507, 1.0f); });
}

TEST_CASE("reduce refuses what it cannot compute") {
  CpuBackend backend(1);
  std::vector<float> values(6);
  const MatrixView two(values.data(), 2, 3), three(values.data(), 3, 2);
  const GarbageWorkspace workspace(backend, backend.reduce_workspace(2, 3));
  const auto reduce = [&](const MatrixView& dx, const StepState* state) {
    backend.reduce(two, Reduction::mean, state, 1.0f, values.data(), dx, workspace);
  };
  CHECK_THROWS_AS(reduce(three, nullptr), Error);
  for (const std::int64_t count : {0, 3}) {
    const StepState state{0, 0, 0, count};
    CHECK_THROWS_AS(reduce(two, &state), Error);
  }
}
