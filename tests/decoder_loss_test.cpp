#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/operator_check.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// Of `count` rows; of all where it is -1, without a state.
Operator decoder_loss(std::int64_t rows, std::int64_t count, std::vector<float> cosines = {}) {
  constexpr float temperature = 0.7f, weight = 0.6f;
  const std::int64_t valid = count < 0 ? rows : count;
  if (cosines.empty()) cosines = random_values(rows * 3, 1);
  const auto loss = [valid](const Values& in) {
    constexpr double t = temperature;
    double s = 0.0, sum = 0.0;
    for (std::int64_t j = 0; j < valid; ++j) s += in[0][j * 3 + 2] / t;
    for (std::int64_t i = 0; i < valid; ++i) {
      const double p = in[0][i * 3] / t, q = in[0][i * 3 + 1] / t;
      sum += std::log(std::exp(p) + std::exp(q) + std::exp(s)) - p + std::log(std::exp(q) + std::exp(s)) - q;
    }
    return sum / static_cast<double>(valid);
  };
  return loss_of({{rows, 3, nan_behind(cosines, 3, valid)}}, {0}, weight, loss,
                 [count](Backend& backend, const Views& in, const Views& out) {
                   const DeviceState state(backend, count);
                   backend.decoder_loss(in[0], temperature, state.get(), weight, out[0].data, out[1]);
                 });
}

}  // namespace

TEST_CASE("decoder_loss and its gradient against central differences") {
  for (const auto& [rows, count] : {std::pair{1, -1}, {3, 2}, {29, -1}, {29, 21}})
    check_operator(decoder_loss(rows, count));
  check_outputs(decoder_loss(300, 290));
}

TEST_CASE("decoder_loss: a thread's three rows, of which a float's sum would lose the middle one") {
  std::vector<float> cosines(600 * 3, 0.0f);
  cosines[2] = 1e8f;
  cosines[256 * 3 + 2] = 0.7f;
  cosines[512 * 3 + 2] = -1e8f;
  for_each_backend([&](Backend& backend) {
    // P and Q are 0 and S is 1.
    const float loss = run_operator(backend, decoder_loss(600, -1, cosines))[0][0];
    CHECK(loss == Approx(std::log(2.0 + std::exp(1.0)) + std::log(1.0 + std::exp(1.0))).epsilon(1e-6));
  });
}

TEST_CASE("decoder_loss of a sum whose exponential no float holds") {
  for_each_backend([](Backend& backend) {
    // S = 3 * 70 / 0.7: both logarithms are S, and all of the gradient goes to it.
    const Operator described =
        decoder_loss(3, -1, {0.7f, -0.7f, 70.0f, 0.35f, 0.0f, 70.0f, 0.0f, 0.0f, 70.0f});
    const std::vector<std::vector<float>> result = run_operator(backend, described);
    CHECK(result[0][0] == Approx(2.0 * 300.0 - (1.0 - 1.0 + 0.5) / 3.0));
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(result[1][3 * i] == Approx(-0.6 / 0.7 / 3.0));
      CHECK(result[1][3 * i + 1] == Approx(-0.6 / 0.7 / 3.0));
      CHECK(result[1][3 * i + 2] == Approx(2.0 * 0.6 / 0.7));
    }
  });
}

TEST_CASE("decoder_loss gives the same bits on any number of threads") {
  check_threads(decoder_loss(1000, 900));
}

TEST_CASE("decoder_loss refuses what it cannot compute") {
  check_refuses(decoder_loss(2, -1), {1});  // but the loss
  CpuBackend backend(1);
  std::vector<float> values(6);
  const MatrixView two(values.data(), 2, 3);
  CHECK_THROWS_AS(backend.decoder_loss(two, 0.0f, nullptr, 1.0f, values.data(), two), Error);
  const StepState none{0, 0, 0, 0};
  CHECK_THROWS_AS(backend.decoder_loss(two, 1.0f, &none, 1.0f, values.data(), two), Error);
}
