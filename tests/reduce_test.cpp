#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr Reduction all[] = {Reduction::mean, Reduction::softplus, Reduction::softplus_of_negative,
                             Reduction::unit_norm_gap};

/// Of the first `count` rows; of all where it is -1, without a state.
Operator reduce(Reduction reduction, std::int64_t rows, std::int64_t columns, std::int64_t count,
                std::vector<float> values = {}) {
  constexpr float weight = 0.7f;
  const std::int64_t valid = count < 0 ? rows : count;
  if (values.empty()) values = random_values(rows * columns, 1);
  const auto n = static_cast<double>(reduction == Reduction::mean            ? valid * columns
                                     : reduction == Reduction::unit_norm_gap ? valid
                                                                             : 1);
  // The loss, and the slope of each element.
  const auto terms = [=](const Values& in) {
    double sum = 0.0;
    std::vector<double> slopes(in[0].size());
    for (std::int64_t i = 0; i < valid; ++i) {
      double squares = 0.0;
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) {
        const double x = in[0][j];
        squares += x * x;
        if (reduction == Reduction::mean) {
          sum += x;
          slopes[j] = 1.0;
        } else if (reduction != Reduction::unit_norm_gap) {
          const double sign = reduction == Reduction::softplus ? 1.0 : -1.0;
          sum += std::log(1.0 + std::exp(sign * x));
          slopes[j] = sign / (1.0 + std::exp(-sign * x));
        }
      }
      if (reduction != Reduction::unit_norm_gap) continue;
      const double norm = std::sqrt(squares);
      sum += (norm - 1.0) * (norm - 1.0);
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j)
        slopes[j] = 2.0 * (norm - 1.0) * in[0][j] / norm;
    }
    for (double& slope : slopes) slope *= static_cast<double>(weight) / n;
    return std::pair{sum / n, slopes};
  };
  const Run run = [=](Backend& backend, const Views& in, const Views& out) {
    const DeviceState state(backend, count);
    const GarbageWorkspace workspace(backend, backend.reduce_workspace(rows, columns));
    backend.reduce(in[0], reduction, state.get(), weight, out[0].data, out[1], workspace);
  };
  Operator described = loss_of(
      {{rows, columns, nan_behind(values, columns, valid)}}, {0}, weight,
      [=](const Values& in) { return terms(in).first; }, run,
      [=](const Values& in) {
        const auto [loss, slopes] = terms(in);
        return Values{{loss}, slopes};
      });
  // The slope of a mean does not look at its element.
  if (reduction == Reduction::mean) described.nan = NanCheck::first_output;
  if (rows * columns > 300) described.differences = nullptr;
  return described;
}

}  // namespace

TEST_CASE("reduce and its gradients against central differences") {
  for (const Reduction reduction : all) {
    for (const auto& [rows, columns, count] :
         {std::tuple{1, 1, -1}, {1, 40, 1}, {9, 2, 8}, {65, 1, 41}, {7, 33, -1}, {17, 8, 16}})
      check_operator(reduce(reduction, rows, columns, count));
    check_outputs(reduce(reduction, 5, 300, 4));
    // More rows than the blocks take in one round.
    check_outputs(reduce(reduction, 4300, 3, 4299));
  }
  // Squares beyond float, not beyond double.
  Operator large = reduce(Reduction::unit_norm_gap, 2, 2, -1, {1.9e19f, 0.0f, 0.0f, 0.0f});
  large.inputs[0].values[3] = 2.0f;
  large.differences = nullptr;
  check_outputs(large);
}

TEST_CASE("reduce: softplus of large numbers, the gap of a row of zeros") {
  for_each_backend([](Backend& backend) {
    const auto run = [&](Reduction reduction, std::int64_t columns, const std::vector<float>& values) {
      return run_operator(backend, reduce(reduction, static_cast<std::int64_t>(values.size()) / columns,
                                          columns, -1, values));
    };
    const auto small = static_cast<float>(0.7 * std::exp(-200.0));
    const auto plus = run(Reduction::softplus, 1, {-200.0f, 200.0f, 0.0f});
    CHECK(plus[0][0] == Approx(200.0 + std::log(2.0)));
    CHECK(plus[1] == std::vector<float>{small, 0.7f, 0.35f});
    const auto minus = run(Reduction::softplus_of_negative, 1, {-200.0f, 200.0f, 0.0f});
    CHECK(minus[0][0] == Approx(200.0 + std::log(2.0)));
    CHECK(minus[1] == std::vector<float>{-0.7f, -small, -0.35f});
    const auto gap = run(Reduction::unit_norm_gap, 2, {0.0f, 0.0f, 0.0f, 3.0f});
    CHECK(gap[0][0] == Approx(2.5));
    for (const std::size_t i : {0, 1, 2}) CHECK(gap[1][i] == 0.0f);
    CHECK(gap[1][3] == Approx(0.7 * 2.0));
  });
}

TEST_CASE("reduce gives the same bits on any number of threads") {
  for (const Reduction reduction : all) check_threads(reduce(reduction, 2600, 65, 2507));
}

TEST_CASE("reduce refuses what it cannot compute") {
  check_refuses(reduce(Reduction::mean, 3, 2, -1), {1});  // but the loss
  CpuBackend backend(1);
  for (const std::int64_t count : {0, 3}) {
    Operator described = reduce(Reduction::mean, 2, 3, 2);
    described.run = [count](Backend& on, const Views& in, const Views& out) {
      const StepState state{0, 0, 0, count};
      const GarbageWorkspace workspace(on, on.reduce_workspace(2, 3));
      on.reduce(in[0], Reduction::mean, &state, 1.0f, out[0].data, out[1], workspace);
    };
    CHECK_THROWS_AS(run_operator(backend, described), Error);
  }
}
