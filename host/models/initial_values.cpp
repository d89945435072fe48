#include "models/initial_values.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <utility>

#include "sea/philox.hpp"

namespace sea {

namespace {

/// `count` values uniform in [-bound, bound).
std::vector<float> uniform_values(const InitialDraws& draws, std::int64_t count, float bound) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const Philox4x32 bits =
        random_bits(draws.seed, RandomPurpose::initial_value, draws.stream, static_cast<std::int64_t>(i / 4));
    for (std::size_t j = i; j < std::min(i + 4, values.size()); ++j) {
      values[j] = bound * (2.0f * uniform_float(bits.word[j - i]) - 1.0f);
    }
  }
  return values;
}

/// `count` values of a normal distribution with mean 0.
std::vector<float> normal_values(const InitialDraws& draws, std::int64_t count, double deviation) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); i += 2) {
    // Box and Muller: two normal values of two uniform ones, the first of them not 0.
    const Philox4x32 bits =
        random_bits(draws.seed, RandomPurpose::initial_value, draws.stream, static_cast<std::int64_t>(i / 2));
    const double radius = deviation * std::sqrt(-2.0 * std::log((bits.word[0] + 1.0) * 0x1p-32));
    const double angle = 2.0 * std::numbers::pi * (bits.word[1] * 0x1p-32);
    values[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return values;
}

float xavier_bound(std::int64_t fan_in, std::int64_t fan_out) {
  return static_cast<float>(std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
}

}  // namespace

Initializer uniform_fan_in(std::int64_t fan_in) {
  return [=](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    return uniform_values(draws, rows * columns, 1.0f / std::sqrt(static_cast<float>(fan_in)));
  };
}

Initializer xavier_uniform() {
  return [](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    return uniform_values(draws, rows * columns, xavier_bound(columns, rows));
  };
}

Initializer xavier_uniform_nodes(std::int64_t users) {
  return [=](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    std::vector<float> values = uniform_values(draws, rows * columns, 1.0f);
    const auto items_begin = values.begin() + users * columns;
    const float user_bound = xavier_bound(columns, users), item_bound = xavier_bound(columns, rows - users);
    for (auto value = values.begin(); value != values.end(); ++value) {
      *value *= value < items_begin ? user_bound : item_bound;
    }
    return values;
  };
}

Initializer xavier_normal() {
  return [](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    return normal_values(draws, rows * columns, std::sqrt(2.0 / static_cast<double>(rows + columns)));
  };
}

Initializer standard_normal() {
  return [](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    return normal_values(draws, rows * columns, 1.0);
  };
}

Initializer kaiming_normal() {
  return [](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    return normal_values(draws, rows * columns, std::sqrt(2.0 / static_cast<double>(columns)));
  };
}

Initializer kaiming_uniform() {
  return [](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    return uniform_values(draws, rows * columns, std::sqrt(6.0f / static_cast<float>(columns)));
  };
}

Initializer softmax_of_xavier_normal() {
  return [draw = xavier_normal()](std::int64_t rows, std::int64_t columns, const InitialDraws& draws) {
    std::vector<float> values = draw(rows, columns, draws);
    for (std::int64_t i = 0; i < rows; ++i) {
      float* row = values.data() + i * columns;
      float sum = 0.0f;
      for (std::int64_t j = 0; j < columns; ++j) sum += row[j] = std::exp(row[j]);
      for (std::int64_t j = 0; j < columns; ++j) row[j] /= sum;
    }
    return values;
  };
}

Initializer constant_value(float value) {
  return [=](std::int64_t rows, std::int64_t columns, const InitialDraws&) {
    return std::vector<float>(static_cast<std::size_t>(rows * columns), value);
  };
}

Initializer given_values(std::vector<float> values) {
  const auto held = std::make_shared<std::vector<float>>(std::move(values));
  return [held](std::int64_t, std::int64_t, const InitialDraws&) { return std::move(*held); };
}

}  // namespace sea
