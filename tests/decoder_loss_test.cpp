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

double naive(const std::vector<double>& c, std::int64_t count, double temperature) {
  double s = 0.0, sum = 0.0;
  for (std::int64_t j = 0; j < count; ++j) s += c[j * 3 + 2] / temperature;
  for (std::int64_t i = 0; i < count; ++i) {
    const double p = c[i * 3] / temperature, q = c[i * 3 + 1] / temperature;
    sum += std::log(std::exp(p) + std::exp(q) + std::exp(s)) - p + std::log(std::exp(q) + std::exp(s)) - q;
  }
  return sum / static_cast<double>(count);
}

struct Result {
  float loss;
  std::vector<float> gradient;
  bool operator==(const Result&) const = default;
};

Result run(Backend& backend, const std::vector<float>& cosines, std::int64_t rows, std::int64_t count,
           float temperature, float weight, std::int64_t gap = 2) {
  const StridedMatrix c(backend, cosines, rows, 3, gap), dc(backend, rows, 3, gap + 1);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{5, 2, 9, count}});
  const Buffer<float> loss = garbage(backend, 1);
  backend.decoder_loss(c.view(), temperature, count < 0 ? nullptr : state.data(), weight, loss.data(),
                       dc.view());
  return {loss.download()[0], dc.values()};
}

}  // namespace

TEST_CASE("decoder_loss and its gradient against central differences") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, count] : {std::pair{1, -1}, {3, 2}, {29, -1}, {29, 21}, {300, 290}}) {
      CAPTURE(rows, count);
      const std::int64_t valid = count < 0 ? rows : count;
      const std::vector<float> values = random_values(rows * 3, 1);
      std::vector<float> in = values;
      std::fill(in.begin() + valid * 3, in.end(), std::nanf(""));  // must not be read
      const float temperature = 0.7f, weight = 0.6f;
      const Result result = run(backend, in, rows, count, temperature, weight);
      CHECK(result.loss == Approx(naive(to_double(values), valid, temperature)).epsilon(1e-6));
      const auto loss = [&](const std::vector<double>& at) { return weight * naive(at, valid, temperature); };
      CHECK(relative_error(result.gradient, central_differences(loss, to_double(values)), 1e-3) < 1e-6);
      for (std::int64_t i = valid * 3; i < rows * 3; ++i) CHECK(result.gradient[i] == 0.0f);
    }
  });
}

TEST_CASE("decoder_loss of a sum whose exponential no float holds") {
  for_each_backend([](Backend& backend) {
    // S = 3 * 100 / 0.5: both logarithms are S, and all of the gradient goes to it.
    const std::vector<float> cosines = {1.0f, -1.0f, 100.0f, 0.5f, 0.0f, 100.0f, 0.0f, 0.0f, 100.0f};
    const Result result = run(backend, cosines, 3, -1, 0.5f, 1.0f);
    CHECK(result.loss == Approx(2.0 * 600.0 - (2.0 - 2.0 + 1.0) / 3.0));
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(result.gradient[3 * i] == Approx(-2.0 / 3.0));
      CHECK(result.gradient[3 * i + 1] == Approx(-2.0 / 3.0));
      CHECK(result.gradient[3 * i + 2] == Approx(4.0));
    }
  });
}

TEST_CASE("decoder_loss gives the same bits on any number of threads") {
  const std::vector<float> cosines = random_values(1000 * 3, 3);
  check_same_bits([&](Backend& backend) { return run(backend, cosines, 1000, 900, 0.5f, 1.0f); });
}

TEST_CASE("decoder_loss refuses what it cannot compute") {
  CpuBackend backend(1);
  std::vector<float> values(8);
  const MatrixView two(values.data(), 2, 3), wide(values.data(), 2, 4);
  CHECK_THROWS_AS(backend.decoder_loss(wide, 1.0f, nullptr, 1.0f, values.data(), two), Error);
  CHECK_THROWS_AS(backend.decoder_loss(two, 1.0f, nullptr, 1.0f, values.data(), wide), Error);
  CHECK_THROWS_AS(backend.decoder_loss(two, 0.0f, nullptr, 1.0f, values.data(), two), Error);
  const StepState none{0, 0, 0, 0};
  CHECK_THROWS_AS(backend.decoder_loss(two, 1.0f, &none, 1.0f, values.data(), two), Error);
}
