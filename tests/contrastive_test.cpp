#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <vector>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Problem {
  std::int64_t queries, keys, width;
  ContrastiveSettings settings;
  std::vector<std::int32_t> positives = {};
  std::int64_t count = -1;  ///< -1: no state

  std::int64_t query_count() const { return count < 0 ? queries : count; }
  std::int64_t key_count() const { return positives.empty() ? query_count() : keys; }
  std::int64_t positive_of(std::int64_t i) const { return positives.empty() ? i : positives[i]; }
};

/// The loss at x = [queries ; keys] as its definition reads, and where asked its gradient.
double reference(const Problem& p, const std::vector<double>& x, std::vector<double>* gradient = nullptr) {
  const double* rows = x.data();
  const std::int64_t first_key = p.queries;
  if (gradient != nullptr) gradient->assign(x.size(), 0.0);
  double total = 0.0;
  for (std::int64_t i = 0; i < p.query_count(); ++i) {
    std::vector<std::int64_t> others(static_cast<std::size_t>(p.key_count()));
    std::iota(others.begin(), others.end(), first_key);
    for (std::int64_t j = 0; p.settings.intra && j < p.query_count(); ++j) {
      if (j != i) others.push_back(j);
    }
    std::vector<double> logits;
    for (const std::int64_t other : others) {
      logits.push_back(
          std::inner_product(rows + i * p.width, rows + (i + 1) * p.width, rows + other * p.width, 0.0) /
          p.settings.temperature);
    }
    const double largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0.0;
    for (const double logit : logits) sum += std::exp(logit - largest);
    const auto positive = static_cast<std::size_t>(p.positive_of(i));
    const double log_ratio = logits[positive] - largest - std::log(sum);
    double factor = 1.0;
    if (p.settings.epsilon > 0.0f) {
      const double ratio = std::exp(log_ratio), epsilon = p.settings.epsilon;
      total -= std::log(ratio + epsilon);
      factor = ratio / (ratio + epsilon);
    } else {
      total -= log_ratio;
    }
    if (gradient == nullptr) continue;
    factor /= p.settings.temperature;
    if (p.settings.mean) factor /= static_cast<double>(p.query_count());
    for (std::size_t s = 0; s < others.size(); ++s) {
      const double slope = factor * (std::exp(logits[s] - largest) / sum - (s == positive ? 1.0 : 0.0));
      for (std::int64_t k = 0; k < p.width; ++k) {
        (*gradient)[i * p.width + k] += slope * rows[others[s] * p.width + k];
        (*gradient)[others[s] * p.width + k] += slope * rows[i * p.width + k];
      }
    }
  }
  return p.settings.mean ? total / static_cast<double>(p.query_count()) : total;
}

struct Result {
  float loss;
  std::vector<float> gradient;  ///< [d_queries ; d_keys]
  bool operator==(const Result&) const = default;
};

/// Between the rows of the matrices.
struct Gaps {
  std::int64_t queries = 3, keys = 5, d_queries = 2, d_keys = 7;
};

Result run(Backend& backend, const Problem& p, const std::vector<float>& queries,
           const std::vector<float>& keys, float weight, const Gaps& gaps = {}) {
  const StridedMatrix q(backend, queries, p.queries, p.width, gaps.queries),
      k(backend, keys, p.keys, p.width, gaps.keys);
  const StridedMatrix dq(backend, p.queries, p.width, gaps.d_queries),
      dk(backend, p.keys, p.width, gaps.d_keys);
  const Buffer<std::int32_t> positives = to_device(backend, p.positives);
  const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{3, 1, 7, p.count}});
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(
      backend, backend.contrastive_workspace(p.queries, p.keys, p.width, p.settings.intra));
  backend.contrastive(q.view(), k.view(), positives.span(), p.settings, p.count < 0 ? nullptr : state.data(),
                      weight, loss.data(), dq.view(), dk.view(), workspace);
  Result result{loss.download()[0], dq.values()};
  const std::vector<float> d_keys = dk.values();
  result.gradient.insert(result.gradient.end(), d_keys.begin(), d_keys.end());
  return result;
}

std::vector<double> joined(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<double> x = to_double(a);
  x.insert(x.end(), b.begin(), b.end());
  return x;
}

/// Keys by index, some of them several times and most of them never.
std::vector<std::int32_t> some_positives(std::int64_t queries, std::int64_t keys) {
  std::vector<std::int32_t> positives;
  for (std::int64_t i = 0; i < queries; ++i) {
    positives.push_back(static_cast<std::int32_t>((i % 5 == 0 ? 7 : i * 3 + 1) % keys));
  }
  return positives;
}

std::vector<double> scaled(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

/// Rows behind the count hold what must not be read.
void spoil_rows(std::vector<float>& values, std::int64_t first_row, std::int64_t width) {
  std::fill(values.begin() + first_row * width, values.end(), std::nanf(""));
}

}  // namespace

TEST_CASE("contrastive: loss and gradients against central differences") {
  const bool intra = GENERATE(false, true), by_index = GENERATE(false, true), mean = GENERATE(false, true);
  const float epsilon = GENERATE(0.0f, 0.05f);
  for_each_backend([&](Backend& backend) {
    for (const auto& [queries, keys, width, count] : {std::tuple{1, 1, 3, -1},
                                                      {5, 5, 1, 4},
                                                      {9, 9, 2, -1},
                                                      {23, 23, 7, 17},
                                                      {7, 31, 4, 6},
                                                      {31, 3, 5, -1}}) {
      if (!by_index && queries != keys) continue;
      Problem p{queries, keys, width, {0.3f, intra, mean, epsilon}, {}, count};
      if (by_index) p.positives = some_positives(queries, keys);
      CAPTURE(queries, keys, width, count, intra, by_index, mean, epsilon);
      const std::vector<float> q = random_values(queries * width, 1), k = random_values(keys * width, 2);
      const float weight = 0.7f;
      std::vector<float> spoilt_q = q, spoilt_k = k;
      spoil_rows(spoilt_q, p.query_count(), width);
      spoil_rows(spoilt_k, p.key_count(), width);
      const Result result = run(backend, p, spoilt_q, spoilt_k, weight);
      const std::vector<double> x = joined(q, k);
      CHECK(result.loss == Approx(reference(p, x)).epsilon(1e-5).margin(1e-6));
      const std::vector<double> differences =
          central_differences([&](const std::vector<double>& at) { return weight * reference(p, at); }, x);
      CHECK(relative_error(result.gradient, differences, 0.1) < 1e-5);
      // Rows behind the count: 0, not merely small.
      for (std::int64_t i = p.query_count() * width; i < queries * width; ++i)
        CHECK(result.gradient[i] == 0.0f);
      for (std::int64_t i = (queries + p.key_count()) * width; i < (queries + keys) * width; ++i) {
        CHECK(result.gradient[i] == 0.0f);
      }
      // The analytic gradient, which the larger cases are compared with, is that of the loss.
      std::vector<double> gradient;
      reference(p, x, &gradient);
      gradient = scaled(gradient, weight);
      CHECK(relative_error({gradient.begin(), gradient.end()}, differences, 0.1) < 1e-6);
    }
  });
}

TEST_CASE("contrastive: several tiles of queries and of keys, rows of every alignment") {
  const bool intra = GENERATE(false, true);
  for_each_backend([&](Backend& backend) {
    // Both sides of a tile and of a range of tiles; widths of a slice, of a panel and beyond.
    for (const auto& [queries, keys, width, count] : {std::tuple{64, 64, 16, -1},
                                                      {65, 65, 17, 64},
                                                      {63, 129, 64, -1},
                                                      {130, 130, 64, 65},
                                                      {20, 600, 8, -1},
                                                      {600, 20, 8, 511},
                                                      {97, 97, 65, 96},
                                                      {30, 50, 130, 29}}) {
      Problem p{queries, keys, width, {0.5f, intra, true, 0.0f}, {}, count};
      if (queries != keys) p.positives = some_positives(queries, keys);
      CAPTURE(queries, keys, width, count, intra);
      std::vector<float> q = random_values(queries * width, 3), k = random_values(keys * width, 4);
      const std::int64_t aligned = width % 4 == 0 ? 4 : 4 - width % 4;
      std::vector<double> gradient;
      const double loss = reference(p, joined(q, k), &gradient);
      spoil_rows(q, p.query_count(), width);
      spoil_rows(k, p.key_count(), width);
      for (const std::int64_t gap : {std::int64_t{0}, aligned, aligned + 4, std::int64_t{1}}) {
        const Result result = run(backend, p, q, k, 1.0f, {gap, gap, gap, gap});
        CHECK(result.loss == Approx(loss).epsilon(2e-6));
        CHECK(relative_error(result.gradient, gradient) < 2e-5);
      }
    }
  });
}

TEST_CASE("contrastive of column ranges that begin anywhere") {
  const Problem p{70, 70, 20, {0.5f, true, true, 0.0f}};
  const std::vector<float> q = random_values(70 * 20, 5), k = random_values(70 * 20, 6);
  std::vector<double> gradient;
  const double expected = reference(p, joined(q, k), &gradient);
  for_each_backend([&](Backend& backend) {
    for (const std::int64_t first : {1, 2, 4}) {
      std::vector<float> wide(70 * 48, std::nanf(""));
      for (std::int64_t i = 0; i < 70; ++i) {
        std::copy_n(q.begin() + i * 20, 20, wide.begin() + i * 48 + first);
        std::copy_n(k.begin() + i * 20, 20, wide.begin() + i * 48 + first + 20);
      }
      const Buffer<float> input = to_device(backend, wide), output = garbage(backend, 70 * 48),
                          loss = garbage(backend, 1);
      const GarbageWorkspace workspace(backend, backend.contrastive_workspace(70, 70, 20, true));
      const auto view = [&](const Buffer<float>& buffer, std::int64_t column) {
        return buffer.matrix(70, 48).column_range(first + column, 20);
      };
      backend.contrastive(view(input, 0), view(input, 20), {}, p.settings, nullptr, 1.0f, loss.data(),
                          view(output, 0), view(output, 20), workspace);
      CHECK(loss.download()[0] == Approx(expected).epsilon(2e-6));
      const std::vector<float> all = output.download();
      std::vector<float> result;
      for (const std::int64_t half : {0, 20}) {
        for (std::int64_t i = 0; i < 70; ++i) {
          const auto row = all.begin() + i * 48 + first + half;
          result.insert(result.end(), row, row + 20);
        }
      }
      CHECK(relative_error(result, gradient) < 1e-5);
      for (std::int64_t i = 0; i < 70 * 48; ++i) {
        const std::int64_t column = i % 48 - first;
        CHECK(std::isnan(all[i]) == (column < 0 || column >= 40));
      }
    }
  });
}

TEST_CASE("contrastive: logits far beyond what an exponential holds") {
  const bool intra = GENERATE(false, true);
  for_each_backend([&](Backend& backend) {
    // Logits up to some hundred thousand, and down to as much below zero, in rows of very different sizes.
    for (const float size : {30.0f, 300.0f}) {
      Problem p{90, 300, 6, {0.1f, intra, true, 0.0f}, some_positives(90, 300)};
      std::vector<float> q = random_values(90 * 6, 7), k = random_values(300 * 6, 8);
      for (std::int64_t i = 0; i < 90 * 6; ++i) q[i] *= i / 6 % 3 == 0 ? 0.01f : size;
      for (std::int64_t i = 0; i < 300 * 6; ++i) k[i] *= i / 6 % 2 == 0 ? 1.0f : size;
      std::vector<double> gradient;
      const double loss = reference(p, joined(q, k), &gradient);
      const Result result = run(backend, p, q, k, 1.0f);
      CHECK(result.loss == Approx(loss).epsilon(1e-5));
      // A logit of 1e5 is known to 0.01 in single precision, and its exponential no better.
      CHECK(relative_error(result.gradient, gradient) < 5e-3);
    }
    // All logits far below zero: the largest, not zero, is what is subtracted.
    Problem p{40, 40, 3, {0.05f, false, true, 0.0f}};
    std::vector<float> q = random_values(40 * 3, 9), k = random_values(40 * 3, 10);
    for (float& value : q) value = 20.0f + value;
    for (float& value : k) value = -20.0f + value;
    std::vector<double> gradient;
    const double loss = reference(p, joined(q, k), &gradient);
    const Result result = run(backend, p, q, k, 1.0f);
    CHECK(result.loss == Approx(loss).epsilon(1e-4));
    CHECK(relative_error(result.gradient, gradient) < 1e-2);
  });
}

TEST_CASE("contrastive: aligned unit rows at a small temperature have a loss that is never negative") {
  const std::int64_t n = emulated ? 70 : 333;
  std::vector<float> rows = random_values(n * 16, 11);
  for (std::int64_t i = 0; i < n; ++i) {
    const double norm = std::sqrt(std::inner_product(&rows[i * 16], &rows[i * 16] + 16, &rows[i * 16], 0.0));
    for (std::int64_t k = 0; k < 16; ++k) rows[i * 16 + k] /= static_cast<float>(norm);
  }
  const Problem p{n, n, 16, {0.02f, false, true, 0.0f}};
  std::vector<double> gradient;
  const double loss = reference(p, joined(rows, rows), &gradient);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, rows, rows, 1.0f);
    CHECK(result.loss >= 0.0f);
    CHECK(result.loss == Approx(loss).margin(1e-6));
    CHECK(relative_error(result.gradient, gradient, 1.0) < 1e-5);
  });
}

TEST_CASE("contrastive without an epsilon is contrastive_alignment where that is defined") {
  const std::int64_t n = 150, width = 24;
  std::vector<float> q = random_values(n * width, 12), k = random_values(n * width, 13);
  for (std::vector<float>* rows : {&q, &k}) {
    for (std::int64_t i = 0; i < n; ++i) {
      float* row = rows->data() + i * width;
      const auto norm = static_cast<float>(std::sqrt(std::inner_product(row, row + width, row, 0.0)));
      for (std::int64_t j = 0; j < width; ++j) row[j] /= norm;
    }
  }
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, {n, n, width, {0.1f, false, true, 0.0f}}, q, k, 0.5f);
    const StridedMatrix text(backend, q, n, width), visual(backend, k, n, width);
    const StridedMatrix d_text(backend, n, width), d_visual(backend, n, width);
    const Buffer<float> loss = garbage(backend, 1);
    const GarbageWorkspace workspace(backend, backend.contrastive_alignment_workspace(n, width, 0));
    backend.contrastive_alignment(text.view(), visual.view(), 0.1f, false, {}, 0.5f, loss.data(),
                                  d_text.view(), d_visual.view(), workspace);
    CHECK(result.loss == Approx(loss.download()[0]).epsilon(1e-6));
    CHECK(relative_error(result.gradient, joined(d_text.values(), d_visual.values())) < 1e-5);
  });
}

TEST_CASE("contrastive: a number that is none reaches the loss") {
  for_each_backend([](Backend& backend) {
    const Problem p{70, 70, 5, {0.5f, false, true, 0.0f}};
    const std::vector<float> rows = random_values(70 * 5, 14);
    for (const std::size_t at : {std::size_t{3}, std::size_t{69 * 5 + 4}}) {
      std::vector<float> spoilt = rows;
      spoilt[at] = std::nanf("");
      CHECK(std::isnan(run(backend, p, spoilt, rows, 1.0f).loss));
      CHECK(std::isnan(run(backend, p, rows, spoilt, 1.0f).loss));
      // A query's is its own gradient's, and no other query's.
      const std::vector<float> gradient = run(backend, p, spoilt, rows, 1.0f).gradient;
      for (std::size_t i = 0; i < 70 * 5; ++i) CHECK(std::isnan(gradient[i]) == (i / 5 == at / 5));
    }
  });
}

TEST_CASE("contrastive gives the same bits on any number of threads") {
  const bool intra = GENERATE(false, true);
  const Problem p{1100, 1391, 17, {0.2f, intra, false, 0.0f}, some_positives(1100, 1391), 1057};
  const std::vector<float> q = random_values(p.queries * 17, 15), k = random_values(p.keys * 17, 16);
  check_same_bits([&](Backend& backend) { return run(backend, p, q, k, 1.0f); });
}

TEST_CASE("contrastive: many rows") {
  const bool intra = GENERATE(false, true);
  const std::int64_t n = emulated ? 260 : 1500;
  const Problem p{n, n, 64, {0.2f, intra, false, 1e-8f}, {}, n - 3};
  const std::vector<float> q = random_values(n * 64, 17), k = random_values(n * 64, 18);
  std::vector<double> gradient;
  const double loss = reference(p, joined(q, k), &gradient);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, q, k, 1.0f);
    CHECK(result.loss == Approx(loss).epsilon(1e-6));
    CHECK(relative_error(result.gradient, gradient) < 2e-5);
  });
}

TEST_CASE("contrastive: memory grows with rows, not with their product") {
  CpuBackend backend(2);
  const auto bytes = [&](std::int64_t n) { return backend.contrastive_workspace(n, n, 64, true); };
  CHECK(bytes(200'000) <= 2 * bytes(100'000));
  CHECK(bytes(100'000) < std::size_t{200'000} * 64 * sizeof(float) * 32);
}

TEST_CASE("contrastive refuses what it cannot compute") {
  CpuBackend backend(1);
  const std::vector<float> four = random_values(4 * 3, 19), five = random_values(5 * 3, 20);
  const auto throws = [&](const Problem& p) {
    CHECK_THROWS_AS(run(backend, p, p.queries == 4 ? four : five, p.keys == 4 ? four : five, 1.0f), Error);
  };
  const ContrastiveSettings settings{0.5f, false, true, 0.0f};
  throws({4, 5, 3, settings});                // no positives, and not one key for each query
  throws({4, 5, 3, settings, {0, 1, 2}});     // a query without a positive
  throws({4, 5, 3, settings, {0, 1, 2, 5}});  // no key
  throws({4, 5, 3, settings, {0, -1, 2, 3}});
  throws({4, 4, 3, settings, {}, 5});  // count beyond the rows
  throws({4, 4, 3, settings, {}, 0});
  throws({4, 4, 3, {0.0f, false, true, 0.0f}});   // temperature
  throws({4, 4, 3, {0.5f, false, true, -1.0f}});  // epsilon
  const Buffer<float> m = to_device(backend, four);
  CHECK_THROWS_AS(backend.contrastive(m.matrix(4, 3), m.matrix(4, 3), {}, settings, nullptr, 1.0f, m.data(),
                                      m.matrix(3, 4), m.matrix(4, 3), {}),
                  Error);
  CHECK_THROWS_AS(backend.contrastive(m.matrix(4, 3), m.matrix(4, 3), {}, settings, nullptr, 1.0f, m.data(),
                                      m.matrix(4, 3), m.matrix(4, 3), {}),
                  Error);
}
