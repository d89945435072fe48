#include "sea/fast_exp.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"

using sea::fast_exp;
using sea::fast_log;
using sea::fast_sigmoid;
using sea::fast_tanh;

namespace {

double relative(float value, double reference) {
  return std::abs(static_cast<double>(value) - reference) / std::abs(reference);
}

}  // namespace

TEST_CASE("fast_exp follows exp down to underflow") {
  double worst = 0.0;
  for (double x = -87.33; x < 88.0; x += 3e-4) {
    const auto argument = static_cast<float>(x);
    worst = std::max(worst, relative(fast_exp(argument), std::exp(static_cast<double>(argument))));
  }
  // Close to zero in steps that shrink with the argument.
  for (double x = -1.0; x < -1e-12; x *= 0.999) {
    const auto argument = static_cast<float>(x);
    worst = std::max(worst, relative(fast_exp(argument), std::exp(static_cast<double>(argument))));
  }
  CHECK(worst < 2e-7);
  CHECK(worst > 1e-9);  // the loops ran
}

TEST_CASE("fast_exp at its edges") {
  CHECK(fast_exp(0.0f) == 1.0f);
  CHECK(fast_exp(-0.0f) == 1.0f);
  CHECK(fast_exp(-87.34f) == 0.0f);
  CHECK(fast_exp(-104.0f) == 0.0f);
  CHECK(fast_exp(-3e38f) == 0.0f);
  CHECK(fast_exp(-std::numeric_limits<float>::infinity()) == 0.0f);
}

TEST_CASE("fast_exp and fast_tanh: NaN stays NaN, whatever its bits") {
  // A GPU's own has all of them set: there the exponent's place overflows into a number.
  for (const std::uint32_t bits : {0x7FC00000u, 0xFFC00000u, 0x7FFFFFFFu, 0xFFFFFFFFu, 0x7F800001u}) {
    CAPTURE(bits);
    CHECK(std::isnan(fast_exp(std::bit_cast<float>(bits))));
    CHECK(std::isnan(fast_tanh(std::bit_cast<float>(bits))));
  }
}

TEST_CASE("fast_exp gives the same bits in a vector loop and alone") {
  std::vector<float> arguments, together;
  for (float x = -95.0f; x < 1.0f; x += 0.0173f) arguments.push_back(x);
  together.resize(arguments.size());
#pragma omp simd
  for (std::size_t i = 0; i < arguments.size(); ++i) together[i] = fast_exp(arguments[i]);
  bool equal = true;
  for (std::size_t i = 0; i < arguments.size(); ++i) equal = equal && together[i] == fast_exp(arguments[i]);
  CHECK(equal);
}

TEST_CASE("fast_tanh follows tanh, near zero too") {
  double worst = 0.0;
  bool odd = true;
  for (double x = 1e-30; x < 1e3; x *= 1.0003) {
    const auto argument = static_cast<float>(x);
    worst = std::max(worst, relative(fast_tanh(argument), std::tanh(static_cast<double>(argument))));
    odd = odd && fast_tanh(-argument) == -fast_tanh(argument);
  }
  CHECK(worst < 3e-7);
  CHECK(worst > 1e-9);
  CHECK(odd);
  CHECK(fast_tanh(0.0f) == 0.0f);
  CHECK(fast_tanh(std::numeric_limits<float>::infinity()) == 1.0f);
  CHECK(fast_tanh(-std::numeric_limits<float>::infinity()) == -1.0f);
}

TEST_CASE("fast_sigmoid follows the sigmoid down to underflow") {
  double worst = 0.0;
  for (double x = -87.3; x < 100.0; x += 3e-4) {
    const auto argument = static_cast<float>(x);
    worst = std::max(
        worst, relative(fast_sigmoid(argument), 1.0 / (1.0 + std::exp(-static_cast<double>(argument)))));
  }
  CHECK(worst < 2e-7);
  CHECK(worst > 1e-9);
  CHECK(fast_sigmoid(0.0f) == 0.5f);
  CHECK(fast_sigmoid(-88.0f) == 0.0f);
  CHECK(fast_sigmoid(-std::numeric_limits<float>::infinity()) == 0.0f);
  CHECK(fast_sigmoid(std::numeric_limits<float>::infinity()) == 1.0f);
  CHECK(std::isnan(fast_sigmoid(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("fast_log follows log, near one too") {
  double worst = 0.0;
  const auto look = [&](float argument) {
    if (argument != 1.0f)
      worst = std::max(worst, relative(fast_log(argument), std::log(static_cast<double>(argument))));
  };
  for (double x = 1.2e-38; x < 3.4e38; x *= 1.00007) look(static_cast<float>(x));
  for (double x = 0.4; x < 2.5; x += 1e-6) look(static_cast<float>(x));
  for (double apart = 0.5; apart > 1e-8; apart *= 0.9999) {
    look(static_cast<float>(1.0 - apart));
    look(static_cast<float>(1.0 + apart));
  }
  CHECK(worst < 1e-7);
  CHECK(worst > 1e-9);
  CHECK(fast_log(1.0f) == 0.0f);
}
