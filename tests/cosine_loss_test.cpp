#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// Of the first `count` rows; of all where it is -1, without a state.
Operator cosine_loss(std::int64_t rows, std::int64_t columns, std::int64_t count, std::vector<float> x = {},
                     std::vector<float> target = {}, float weight = 0.7f) {
  const std::int64_t valid = count < 0 ? rows : count;
  if (x.empty()) x = random_values(rows * columns, 1);
  if (target.empty()) target = random_values(rows * columns, 2);
  const auto terms = [=](const Values& in) {
    Values results{{1.0}, std::vector<double>(in[0].size())};
    for (std::int64_t i = 0; i < valid; ++i) {
      double product = 0.0, x_norm = 0.0, target_norm = 0.0;
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) {
        product += in[0][j] * in[1][j];
        x_norm += in[0][j] * in[0][j];
        target_norm += in[1][j] * in[1][j];
      }
      for (double* norm : {&x_norm, &target_norm}) *norm = std::sqrt(*norm) < 1e-8 ? 1e-8 : std::sqrt(*norm);
      const double cosine = product / (x_norm * target_norm);
      const double share = 1.0 / static_cast<double>(valid);
      results[0][0] -= share * cosine;
      for (std::int64_t j = i * columns; j < (i + 1) * columns; ++j) {
        results[1][j] = static_cast<double>(weight) * share *
                        (cosine * in[0][j] / (x_norm * x_norm) - in[1][j] / (x_norm * target_norm));
      }
    }
    return results;
  };
  const Run run = [=](Backend& backend, const Views& in, const Views& out) {
    const DeviceState state(backend, count);
    const GarbageWorkspace workspace(backend, backend.cosine_loss_workspace(rows));
    backend.cosine_loss(in[0], in[1], state.get(), weight, out[0].data, out[1], workspace);
  };
  Operator described = loss_of(
      {{rows, columns, nan_behind(x, columns, valid)}, {rows, columns, nan_behind(target, columns, valid)}},
      {0}, weight, [=](const Values& in) { return terms(in)[0][0]; }, run, terms);
  if (rows * columns > 300) described.differences = nullptr;
  return described;
}

}  // namespace

TEST_CASE("cosine_loss and its gradient against central differences") {
  for (const auto& [rows, columns, count] :
       {std::tuple{1, 2, -1}, {1, 40, 1}, {9, 2, 8}, {7, 33, -1}, {8, 32, 5}, {41, 3, 40}, {65, 4, 64}})
    check_operator(cosine_loss(rows, columns, count));
  // More blocks than threads of the one that adds them up.
  check_outputs(cosine_loss(2100, 3, 2098));
}

TEST_CASE("cosine_loss of zero, tiny and huge rows") {
  for_each_backend([](Backend& backend) {
    // Zero on either side; a norm of 5e-9, at the floor; one of 5e-7, above it; squares beyond float.
    const std::vector<float> x{0.0f, 0.0f, 3.0f, 4.0f, 3e-9f, 4e-9f, 3e-7f, 4e-7f, 3e25f, 4e25f};
    const std::vector<float> target{1.0f, 2.0f, 0.0f, 0.0f, 2.0f, 0.0f, 2.0f, 0.0f, 2e25f, 0.0f};
    const auto result = run_operator(backend, cosine_loss(5, 2, -1, x, target, 1.0f));
    CHECK(result[0][0] == Approx(1.0 - (0.3 + 0.6 + 0.6) / 5.0).epsilon(1e-6));
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
      CHECK(result[1][i] == Approx(expected[i]).epsilon(2e-6).margin(1e-25));
    }
  });
}

TEST_CASE("cosine_loss gives the same bits on any number of threads") {
  check_threads(cosine_loss(1300, 65, 1207));
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
