// What a training draws, looked at as streams: orders, negatives, permutations and initial values are even,
// and independent of each other across places of a batch, steps, epochs, users, parameters and seeds.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "sea/keyed_permutation.hpp"
#include "support/chi_square.hpp"
#include "support/training.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// Which of `parts` equal parts of [0, size) `value` lies in.
std::size_t part_of(std::int64_t value, std::int64_t size, std::int64_t parts) {
  return static_cast<std::size_t>(value * parts / size);
}

/// How often two draws fell into each pair of parts: even where each is even and neither tells of the other.
class Joint {
 public:
  explicit Joint(std::int64_t parts) : parts_(parts), counts_(static_cast<std::size_t>(parts * parts)) {}
  void add(std::int64_t a, std::int64_t a_size, std::int64_t b, std::int64_t b_size) {
    ++counts_[part_of(a, a_size, parts_) * static_cast<std::size_t>(parts_) + part_of(b, b_size, parts_)];
  }
  double excess() const { return chi_square_excess(counts_); }

 private:
  std::int64_t parts_;
  std::vector<std::int64_t> counts_;
};

/// Correlation of two arrays over their common length, in standard deviations of independent ones.
double correlation(const std::vector<double>& a, const std::vector<double>& b, std::size_t lag = 0) {
  const std::size_t count = std::min(a.size(), b.size()) - lag;
  double mean_a = 0.0, mean_b = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    mean_a += a[i] / static_cast<double>(count);
    mean_b += b[i + lag] / static_cast<double>(count);
  }
  double product = 0.0, squares_a = 0.0, squares_b = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    product += (a[i] - mean_a) * (b[i + lag] - mean_b);
    squares_a += (a[i] - mean_a) * (a[i] - mean_a);
    squares_b += (b[i + lag] - mean_b) * (b[i + lag] - mean_b);
  }
  return product / std::sqrt(squares_a * squares_b) * std::sqrt(static_cast<double>(count));
}

/// A user has 8 of 400 items, each item is some user's; the candidates are all items.
struct Pairs {
  static constexpr std::int64_t users = 900, items = 400, per_user = 8, count = users * per_user, batch = 512;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> history, user_of, candidates;

  Pairs() {
    for (std::int64_t user = 0; user < users; ++user) {
      for (std::int64_t i = 0; i < per_user; ++i) {
        history.push_back(static_cast<std::int32_t>((user * 7 + i * 50) % items));
        user_of.push_back(static_cast<std::int32_t>(user));
      }
      std::sort(history.end() - per_user, history.end());
      offsets.push_back(static_cast<std::int64_t>(history.size()));
    }
    for (std::int32_t item = 0; item < items; ++item) candidates.push_back(item);
  }
  SamplingView view() const {
    return {{users, items, offsets.data(), history.data()}, user_of, history, candidates};
  }
};

using Parameters = std::map<std::string, std::vector<double>>;

/// SEA's initial values, each as the probability of a smaller one under the distribution that it should have.
Parameters initial_quantiles(const TrainingFixture& fixture, std::int64_t seed) {
  ConfigurationRequest request;
  request.model = "SEAa";
  request.assignments = {fmt::format("seed={}", seed), "knn_k=5"};
  CpuBackend backend(1);
  const auto model = build_model(backend, fixture.data, request);
  std::map<std::string, std::int64_t> fan_in;
  for (const ParameterView& view : model->program.parameters()) {
    const std::size_t dot = view.name.rfind('.');
    if (dot != std::string::npos && view.name.substr(dot) == ".weight")
      fan_in[view.name.substr(0, dot)] = view.columns;
  }
  Parameters quantiles;
  for (const ParameterView& view : model->program.parameters()) {
    const bool normal = view.name.find("user_embedding") != std::string::npos;
    const bool constant =
        view.name.find("head.1.") != std::string::npos || view.name.find("head.4.") != std::string::npos;
    if (constant) {
      const float expected = view.name.find("weight") != std::string::npos ? 1.0f : 0.0f;
      CHECK(std::all_of(view.value, view.value + view.size(), [&](float x) { return x == expected; }));
      continue;
    }
    std::vector<double>& values = quantiles[view.name];
    if (view.name == "user_modality_weight") {  // a softmax of two normal values: their difference is normal
      const double deviation = 2.0 / std::sqrt(static_cast<double>(view.rows + view.columns));
      for (std::int64_t i = 0; i < view.rows; ++i) {
        CHECK(view.value[2 * i] + view.value[2 * i + 1] == Approx(1.0));
        const double difference = std::log(static_cast<double>(view.value[2 * i]) / view.value[2 * i + 1]);
        values.push_back(0.5 * std::erfc(-difference / deviation / std::sqrt(2.0)));
      }
      continue;
    }
    const double bound =
        normal ? 0.0
               : 1.0 / std::sqrt(static_cast<double>(fan_in.at(view.name.substr(0, view.name.rfind('.')))));
    const double deviation = std::sqrt(2.0 / static_cast<double>(view.rows + view.columns));
    for (std::int64_t i = 0; i < view.size(); ++i) {
      const double x = view.value[i];
      values.push_back(normal ? 0.5 * std::erfc(-x / deviation / std::sqrt(2.0)) : (x / bound + 1.0) / 2.0);
      REQUIRE(values.back() > -1e-6);
      REQUIRE(values.back() < 1.0 + 1e-6);
      values.back() = std::clamp(values.back(), 0.0, 1.0 - 1e-9);
    }
  }
  return quantiles;
}

}  // namespace

TEST_CASE(
    "streams: a pair's place in an epoch is even, and tells nothing of the next epoch or of its neighbour",
    "[streams]") {
  constexpr std::int64_t size = 59'541;  // TikTok's training pairs
  Joint places(16), successive(16), neighbours(16), seeds(16);
  const auto permutation = [](std::uint64_t seed, std::int64_t epoch) {
    return KeyedPermutation(seed, RandomPurpose::shuffle, epoch, static_cast<std::uint32_t>(size));
  };
  const auto at = [](const KeyedPermutation& order, std::int64_t i) {
    return std::int64_t{order(static_cast<std::uint32_t>(i))};
  };
  for (std::int64_t epoch = 0; epoch < 12; ++epoch) {
    const KeyedPermutation now = permutation(999, epoch), next = permutation(999, epoch + 1),
                           other = permutation(1000, epoch);
    for (std::int64_t i = 0; i + 1 < size; i += 3) {
      places.add(i, size, at(now, i), size);
      successive.add(at(now, i), size, at(next, i), size);
      neighbours.add(at(now, i), size, at(now, i + 1), size);
      seeds.add(at(now, i), size, at(other, i), size);
    }
  }
  for (const Joint* joint : {&places, &successive, &neighbours, &seeds})
    CHECK(std::abs(joint->excess()) < 5.0);
}

TEST_CASE("streams: two permutations of a step, and those of two steps, tell nothing of each other",
          "[streams]") {
  constexpr std::int64_t items = 6'710;
  Joint modalities(12), steps(12);
  std::int64_t fixed = 0;
  for (std::int64_t step = 0; step < 40; ++step) {
    const auto of = [&](RandomPurpose purpose, std::int64_t at) {
      return KeyedPermutation(999, purpose, at, static_cast<std::uint32_t>(items));
    };
    const KeyedPermutation visual = of(RandomPurpose::permutation, step);
    const KeyedPermutation textual = of(RandomPurpose::second_permutation, step);
    const KeyedPermutation next = of(RandomPurpose::permutation, step + 1);
    for (std::uint32_t i = 0; i < items; ++i) {
      modalities.add(visual(i), items, textual(i), items);
      steps.add(visual(i), items, next(i), items);
      fixed += visual(i) == i;
    }
  }
  CHECK(std::abs(modalities.excess()) < 5.0);
  CHECK(std::abs(steps.excess()) < 5.0);
  CHECK(std::abs(static_cast<double>(fixed) - 40.0) <
        5.0 * std::sqrt(40.0));  // one per permutation is expected
}

TEST_CASE(
    "streams: negatives are even at every place of a batch, and tell nothing of other places, steps, users "
    "or seeds",
    "[streams]") {
  const Pairs pairs;
  CpuBackend backend(1), other_backend(1);
  std::vector<std::int32_t> users(Pairs::batch), positives(Pairs::batch), negatives(Pairs::batch), before,
      other(Pairs::batch);
  Joint places(8), successive(8), neighbours(8), of_users(8), of_positives(8), seeds(8);
  StepState state{0, 0, 0, Pairs::batch};
  std::int64_t drawn = 0;
  while (state.epoch < 14) {
    backend.sample_batch(pairs.view(), 999, &state, {users, positives, negatives});
    std::vector<std::int32_t> ignored(Pairs::batch);
    other_backend.sample_batch(pairs.view(), 1000, &state, {ignored, ignored, other});
    for (std::int64_t i = 0; i < state.count; ++i) {
      if (state.count == Pairs::batch) places.add(i, Pairs::batch, negatives[i], Pairs::items);
      of_users.add(users[i], Pairs::users, negatives[i], Pairs::items);
      of_positives.add(positives[i], Pairs::items, negatives[i], Pairs::items);
      seeds.add(other[i], Pairs::items, negatives[i], Pairs::items);
      if (i > 0) neighbours.add(negatives[i - 1], Pairs::items, negatives[i], Pairs::items);
      if (!before.empty()) successive.add(before[i], Pairs::items, negatives[i], Pairs::items);
      ++drawn;
    }
    before = negatives;
    if (state.count < Pairs::batch) before.clear();
    backend.advance_step(&state, Pairs::count, Pairs::batch, {});
  }
  CHECK(drawn == 14 * Pairs::count);
  for (const Joint* joint : {&places, &successive, &neighbours, &of_users, &of_positives, &seeds})
    CHECK(std::abs(joint->excess()) < 5.0);
}

TEST_CASE("streams: SEA's initial values have their distribution, and none tells of another", "[streams]") {
  const TrainingFixture fixture;
  const Parameters quantiles = initial_quantiles(fixture, 999), other_seed = initial_quantiles(fixture, 1000);
  REQUIRE(quantiles.size() > 30);
  std::vector<std::int64_t> counts(32);
  for (const auto& [name, values] : quantiles) {
    INFO(name);
    std::vector<std::int64_t> own(8);
    for (const double quantile : values) {
      ++own[static_cast<std::size_t>(quantile * 8.0)];
      ++counts[static_cast<std::size_t>(quantile * 32.0)];
    }
    CHECK(chi_square_excess(own) < 5.0);
    for (std::size_t lag = 1; lag <= 8 && lag + 8 < values.size(); ++lag)
      CHECK(std::abs(correlation(values, values, lag)) < 5.0);
    CHECK(values != other_seed.at(name));
    CHECK(std::abs(correlation(values, other_seed.at(name))) < 5.0);
    for (const auto& [other, other_values] : quantiles) {
      if (other <= name) continue;
      INFO(other);
      CHECK_FALSE(std::equal(values.begin(), values.begin() + 4, other_values.begin()));
      CHECK(std::abs(correlation(values, other_values)) < 5.0);
    }
  }
  CHECK(chi_square_excess(counts) < 5.0);
}
