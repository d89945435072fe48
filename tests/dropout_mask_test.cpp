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

constexpr std::uint64_t seed = 0x123456789abcull;

std::vector<float> mask(Backend& backend, std::int64_t rows, std::int64_t columns, float probability,
                        std::int64_t step = 7, std::uint32_t stream = 3, Layout layout = {}) {
  const StridedMatrix y(backend, rows, columns, layout);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{step, 1, 2, 3}});
  backend.dropout_mask(probability, seed, stream, state.data(), y.view());
  return y.values();
}

std::vector<float> naive(std::int64_t rows, std::int64_t columns, float probability) {
  std::vector<float> y;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int64_t draws_of_row = (columns + 3) / 4;
      const Philox4x32 bits = random_bits(seed, RandomPurpose::dropout, 7, i * draws_of_row + j / 4, 3);
      y.push_back(uniform_float(bits.word[j % 4]) < probability ? 0.0f : 1.0f / (1.0f - probability));
    }
  }
  return y;
}

}  // namespace

TEST_CASE("dropout_mask is the same bits on every backend and in every layout") {
  for_each_backend([](Backend& backend) {
    for (const auto& [rows, columns] : {std::pair{1, 1},
                                        {1, 37},
                                        {301, 2},
                                        {203, 3},
                                        {40, 4},
                                        {65, 64},
                                        {7, 1023},
                                        {3, 1024},
                                        {2, 1025},
                                        {1, 4100}}) {
      CAPTURE(rows, columns);
      for (const float probability : {0.3f, 0.8f}) {
        CHECK(mask(backend, rows, columns, probability) == naive(rows, columns, probability));
      }
    }
    for (const int columns : {20, 23}) {
      const std::vector<float> expected = naive(9, columns, 0.5f);
      for (const Layout layout : layouts) CHECK(mask(backend, 9, columns, 0.5f, 7, 3, layout) == expected);
    }
  });
}

TEST_CASE("dropout_mask drops as many as it should, and keeps the mean") {
  CpuBackend backend(2);
  for (const float probability : {0.0f, 0.1f, 0.5f, 0.9f}) {
    const std::vector<float> y = mask(backend, 1000, 200, probability);
    double dropped = 0.0, sum = 0.0;
    for (const float value : y) {
      dropped += value == 0.0f ? 1.0 : 0.0;
      sum += value;
      CHECK((value == 0.0f || value == 1.0f / (1.0f - probability)));
    }
    const double n = 200'000.0, deviation = std::sqrt(n * probability * (1.0 - probability));
    CHECK(std::abs(dropped - n * probability) <= 5.0 * deviation);
    CHECK(std::abs(sum / n - 1.0) <= 5.0 * deviation / n / (1.0 - probability) + 1e-6);
  }
}

TEST_CASE("dropout_mask is drawn anew in each step and for each stream") {
  CpuBackend backend(1);
  const std::vector<float> base = mask(backend, 30, 20, 0.5f);
  CHECK(mask(backend, 30, 20, 0.5f) == base);
  CHECK(mask(backend, 30, 20, 0.5f, 8, 3) != base);
  CHECK(mask(backend, 30, 20, 0.5f, 7, 4) != base);
}

TEST_CASE("dropout_mask gives the same bits on any number of threads") {
  check_same_bits([](Backend& backend) { return mask(backend, 3001, 65, 0.4f); });
}

TEST_CASE("dropout_mask refuses what is no probability") {
  for_each_backend([](Backend& backend) {
    for (const float probability : {-0.1f, 1.0f, std::nanf("")}) {
      CHECK_THROWS_AS(mask(backend, 2, 2, probability), Error);
    }
  });
}
