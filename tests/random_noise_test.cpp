#include <cmath>

#include "sea/cpu.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/chi_square.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr std::uint64_t seed = 99;

std::vector<float> noise(Backend& backend, Noise kind, std::int64_t rows, std::int64_t columns,
                         std::int64_t step = 7, std::uint32_t stream = 3, Layout layout = {}) {
  const StridedMatrix y(backend, rows, columns, layout);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{step, 1, 2, 3}});
  backend.random_noise(kind, seed, stream, state.data(), y.view());
  return y.values();
}

std::vector<float> naive_uniform(std::int64_t rows, std::int64_t columns) {
  std::vector<float> y;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int64_t draws_of_row = (columns + 3) / 4;
      const Philox4x32 bits = random_bits(seed, RandomPurpose::noise, 7, i * draws_of_row + j / 4, 3);
      y.push_back((static_cast<float>(bits.word[j % 4] >> 9) + 0.5f) * 0x1.0p-23f);
    }
  }
  return y;
}

}  // namespace

TEST_CASE("random_noise is the same on every backend and in every layout") {
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
      const std::vector<float> uniform = naive_uniform(rows, columns);
      CHECK(noise(backend, Noise::uniform, rows, columns) == uniform);
      double worst = 0.0;
      const std::vector<float> gumbel = noise(backend, Noise::gumbel, rows, columns);
      for (std::size_t i = 0; i < uniform.size(); ++i) {
        const double expected = -std::log(-std::log(static_cast<double>(uniform[i])));
        worst = std::max(worst, std::abs(gumbel[i] - expected) / std::max(std::abs(expected), 1.0));
      }
      CHECK(worst < 5e-7);
    }
    for (const int columns : {20, 23}) {
      const std::vector<float> expected = naive_uniform(9, columns);
      const std::vector<double> gumbel = to_double(noise(backend, Noise::gumbel, 9, columns));
      for (const Layout layout : layouts) {
        CHECK(noise(backend, Noise::uniform, 9, columns, 7, 3, layout) == expected);
        CHECK(relative_error(noise(backend, Noise::gumbel, 9, columns, 7, 3, layout), gumbel) < 1e-7);
      }
    }
  });
}

TEST_CASE("random_noise has the distributions it is named by") {
  CpuBackend backend(2);
  std::vector<std::int64_t> counts(64);
  bool inside = true;
  for (const float value : noise(backend, Noise::uniform, 1000, 200)) {
    inside = inside && value > 0.0f && value < 1.0f;
    ++counts.at(static_cast<std::size_t>(value * 64.0f));
  }
  CHECK(inside);
  CHECK(chi_square_excess(counts) < 5.0);

  // Of the standard Gumbel distribution: mean 0.5772, variance pi^2 / 6.
  double sum = 0.0, squares = 0.0;
  for (const float value : noise(backend, Noise::gumbel, 1000, 200)) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const double mean = sum / 200'000.0;
  CHECK(mean == Approx(0.5772157).margin(5.0 * 1.2825 / std::sqrt(200'000.0)));
  CHECK(squares / 200'000.0 - mean * mean == Approx(1.644934).epsilon(0.03));
}

TEST_CASE("random_noise is drawn anew in each step and for each stream") {
  CpuBackend backend(1);
  const std::vector<float> base = noise(backend, Noise::uniform, 30, 20);
  CHECK(noise(backend, Noise::uniform, 30, 20) == base);
  CHECK(noise(backend, Noise::uniform, 30, 20, 8, 3) != base);
  CHECK(noise(backend, Noise::uniform, 30, 20, 7, 4) != base);
}

TEST_CASE("random_noise gives the same bits on any number of threads") {
  for (const Noise kind : {Noise::uniform, Noise::gumbel}) {
    check_same_bits([&](Backend& backend) { return noise(backend, kind, 3001, 65); });
  }
}
