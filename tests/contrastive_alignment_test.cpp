#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Problem {
  std::int64_t n, width;
  double temperature;
  bool symmetric;
  std::vector<std::int32_t> samples;
};

/// Mean over the rows of `a` of logsumexp over the row's keys - diagonal; gradients are added to `da`, `db`.
double one_direction(const Problem& p, const double* a, const double* b, double share, double* da,
                     double* db) {
  double total = 0.0;
  for (std::int64_t i = 0; i < p.n; ++i) {
    std::vector<std::int64_t> keys(p.samples.begin(), p.samples.end());
    if (p.samples.empty()) {
      keys.resize(static_cast<std::size_t>(p.n));
      std::iota(keys.begin(), keys.end(), 0);
    } else if (std::find(keys.begin(), keys.end(), i) == keys.end()) {
      keys.push_back(i);
    }
    std::vector<double> logits;
    for (const std::int64_t j : keys) {
      logits.push_back(std::inner_product(a + i * p.width, a + (i + 1) * p.width, b + j * p.width, 0.0) /
                       p.temperature);
    }
    const double largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0.0;
    for (const double logit : logits) sum += std::exp(logit - largest);
    for (std::size_t s = 0; s < keys.size(); ++s) {
      const bool own = keys[s] == i;
      if (own) total += largest + std::log(sum) - logits[s];
      if (da == nullptr) continue;
      const double slope = (std::exp(logits[s] - largest) / sum - (own ? 1.0 : 0.0)) * share /
                           (static_cast<double>(p.n) * p.temperature);
      for (std::int64_t k = 0; k < p.width; ++k) {
        da[i * p.width + k] += slope * b[keys[s] * p.width + k];
        db[keys[s] * p.width + k] += slope * a[i * p.width + k];
      }
    }
  }
  return share * total / static_cast<double>(p.n);
}

/// The loss at x = [text ; visual], and where asked its gradient.
double reference(const Problem& p, const std::vector<double>& x, std::vector<double>* gradient = nullptr) {
  const double* text = x.data();
  const double* visual = text + p.n * p.width;
  double* d_text = nullptr;
  double* d_visual = nullptr;
  if (gradient != nullptr) {
    gradient->assign(x.size(), 0.0);
    d_text = gradient->data();
    d_visual = d_text + p.n * p.width;
  }
  const double share = p.symmetric ? 0.5 : 1.0;
  double loss = one_direction(p, text, visual, share, d_text, d_visual);
  if (p.symmetric) loss += one_direction(p, visual, text, share, d_visual, d_text);
  return loss;
}

struct Result {
  float loss;
  std::vector<float> gradient;  // [d_text ; d_visual]
};

Result run(Backend& backend, const Problem& p, const std::vector<float>& text,
           const std::vector<float>& visual, float weight) {
  const StridedMatrix t(backend, text, p.n, p.width), v(backend, visual, p.n, p.width, 5);
  const StridedMatrix dt(backend, p.n, p.width, 2), dv(backend, p.n, p.width, 7);
  const Buffer<std::int32_t> samples = to_device(backend, p.samples);
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend,
                                   backend.contrastive_alignment_workspace(p.n, p.width, samples.size()));
  backend.contrastive_alignment(t.view(), v.view(), static_cast<float>(p.temperature), p.symmetric,
                                samples.span(), weight, loss.data(), dt.view(), dv.view(), workspace);
  Result result{loss.download()[0], dt.values()};
  const std::vector<float> d_visual = dv.values();
  result.gradient.insert(result.gradient.end(), d_visual.begin(), d_visual.end());
  return result;
}

std::vector<double> joined(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<double> x = to_double(a);
  x.insert(x.end(), b.begin(), b.end());
  return x;
}

std::vector<std::int32_t> every_third(std::int64_t n, std::int64_t first) {
  std::vector<std::int32_t> rows;
  for (std::int64_t i = n - 1 - first; i >= 0; i -= 3) rows.push_back(static_cast<std::int32_t>(i));
  return rows;
}

}  // namespace

TEST_CASE("contrastive_alignment: loss and gradients against central differences") {
  const bool symmetric = GENERATE(false, true);
  const bool sampled = GENERATE(false, true);
  for_each_backend([&](Backend& backend) {
    for (const auto& [n, width, temperature] :
         {std::tuple{1, 3, 0.046}, std::tuple{5, 1, 0.5}, std::tuple{23, 7, 0.3}, std::tuple{70, 3, 0.1}}) {
      Problem p{n, width, temperature, symmetric, {}};
      if (sampled) p.samples = every_third(n, n > 1 ? 1 : 0);
      CAPTURE(n, width, symmetric, sampled);
      const std::vector<float> text = unit_rows(n, width, 1), visual = unit_rows(n, width, 2);
      const std::vector<double> x = joined(text, visual);
      const float weight = 0.7f;
      const Result result = run(backend, p, text, visual, weight);
      CHECK(result.loss == Approx(reference(p, x)).epsilon(1e-5).margin(1e-6));
      const std::vector<double> differences =
          central_differences([&](const std::vector<double>& at) { return weight * reference(p, at); }, x);
      // The floor: of a single row the gradient is 0, the difference of two numbers near weight /
      // temperature.
      CHECK(relative_error(result.gradient, differences, 0.1) < 2e-5);

      // The analytic gradient, which the larger cases are compared with, is that of the loss.
      std::vector<double> gradient;
      reference(p, x, &gradient);
      for (double& value : gradient) value *= weight;
      std::vector<float> rounded(gradient.begin(), gradient.end());
      CHECK(relative_error(rounded, differences, 0.1) < 1e-6);
    }
  });
}

TEST_CASE("contrastive_alignment: several blocks a chunk, wide rows, the paper's temperature") {
  const bool symmetric = GENERATE(false, true);
  const bool sampled = GENERATE(false, true);
  Problem p{emulated ? 331 : 1163, 35, 0.046, symmetric, {}};
  if (sampled) p.samples = every_third(p.n, 0);
  const std::vector<float> text = unit_rows(p.n, p.width, 3);
  std::vector<float> visual = unit_rows(p.n, p.width, 4);
  // Half of the rows nearly aligned: there the gradient is a small difference.
  for (std::int64_t i = 0; i < p.n / 2 * p.width; ++i) visual[i] = text[i];
  std::vector<double> gradient;
  const double loss = reference(p, joined(text, visual), &gradient);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, text, visual, 1.0f);
    CHECK(result.loss == Approx(loss).epsilon(1e-6));
    CHECK(relative_error(result.gradient, gradient) < 1e-5);
  });
}

TEST_CASE("contrastive_alignment: rows of 32 in several tiles, and keys in several ranges") {
  const bool symmetric = GENERATE(false, true);
  const bool sampled = GENERATE(false, true);
  Problem p{emulated ? 203 : 1203, 32, 0.046, symmetric, {}};
  if (sampled) {
    // Few samples of many rows: their gradients come from one block of queries that sees many keys.
    p.n = emulated ? 523 : 1203;
    for (std::int64_t i = 0; i < 21; ++i) p.samples.push_back(static_cast<std::int32_t>(i * 211 % p.n));
  }
  const std::vector<float> text = unit_rows(p.n, p.width, 10);
  std::vector<float> visual = unit_rows(p.n, p.width, 11);
  for (std::int64_t i = 0; i < p.n / 2 * p.width; ++i) visual[i] = text[i];
  std::vector<double> gradient;
  const double loss = reference(p, joined(text, visual), &gradient);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, text, visual, 1.0f);
    CHECK(result.loss == Approx(loss).epsilon(1e-6));
    CHECK(relative_error(result.gradient, gradient) < 1e-5);
  });
}

// On CUDA, emulated too: keys in two ranges, the last tile of keys and the last block of queries not full.
TEST_CASE("contrastive_alignment: keys in several ranges, rows of 32 and wide ones") {
  const bool symmetric = GENERATE(false, true);
  const std::int64_t width = GENERATE(32, 70);
  const Problem p{523, width, 0.046, symmetric, {}};
  const std::vector<float> text = unit_rows(p.n, p.width, 12);
  std::vector<float> visual = unit_rows(p.n, p.width, 13);
  for (std::int64_t i = 0; i < p.n / 2 * p.width; ++i) visual[i] = text[i];
  std::vector<double> gradient;
  const double loss = reference(p, joined(text, visual), &gradient);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, text, visual, 1.0f);
    CHECK(result.loss == Approx(loss).epsilon(1e-6));
    CHECK(relative_error(result.gradient, gradient) < 1e-5);
  });
}

TEST_CASE("contrastive_alignment: ranges of keys that do not come out even") {
  // On CUDA thirteen tiles in three ranges, the last of which would end behind all memory.
  const Problem p{820, 33, 0.2, false, {}};
  const std::vector<float> text = unit_rows(p.n, p.width, 16), visual = unit_rows(p.n, p.width, 17);
  std::vector<double> gradient;
  const double loss = reference(p, joined(text, visual), &gradient);
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, text, visual, 1.0f);
    CHECK(result.loss == Approx(loss).epsilon(1e-6));
    CHECK(relative_error(result.gradient, gradient) < 1e-5);
  });
}

TEST_CASE("contrastive_alignment: what is not a number is in the loss and in its row's gradient") {
  const std::int64_t width = GENERATE(32, 40);
  const Problem p{70, width, 0.1, false, {}};
  const std::uint32_t bits = 0x7FFFFFFFu;  // what arithmetic on a GPU makes
  std::vector<float> text = unit_rows(p.n, p.width, 14);
  const std::vector<float> visual = unit_rows(p.n, p.width, 15);
  std::memcpy(&text[5 * width + 3], &bits, sizeof(bits));
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, text, visual, 1.0f);
    CHECK(std::isnan(result.loss));
    CHECK(std::isnan(result.gradient[5 * width + 3]));
    CHECK(std::isfinite(result.gradient[6 * width + 3]));
  });
}

TEST_CASE("contrastive_alignment: opposite rows at the smallest temperature do not underflow") {
  const Problem p{2, 2, 0.025, false, {}};
  const std::vector<float> text{1.0f, 0.0f, 1.0f, 0.0f}, visual{-1.0f, 0.0f, -1.0f, 0.0f};
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, text, visual, 1.0f);
    CHECK(result.loss == Approx(std::log(2.0)).epsilon(1e-5));
    // Both columns have the share 1/2: text rows are pulled nowhere, each visual row as much as it pushes.
    for (const float value : result.gradient) CHECK(std::abs(value) < 1e-4f);
  });
}

TEST_CASE("contrastive_alignment: what is not a number stays one") {
  for (const std::int64_t width : {32, 20}) {
    const Problem p{70, width, 0.2, true, {}};
    std::vector<float> text = unit_rows(p.n, p.width, 1);
    text[5 * p.width + 3] = std::bit_cast<float>(0x7FFFFFFFu);  // as a GPU makes it
    for_each_backend([&](Backend& backend) {
      CAPTURE(width);
      const Result result = run(backend, p, text, unit_rows(p.n, p.width, 2), 1.0f);
      CHECK(std::isnan(result.loss));
      CHECK(std::isnan(result.gradient[5 * p.width]));
    });
  }
}

TEST_CASE("contrastive_alignment: all rows as samples, in any order, are the exact loss") {
  const bool symmetric = GENERATE(false, true);
  Problem p{131, 32, 0.07, symmetric, {}};
  const std::vector<float> text = unit_rows(p.n, p.width, 5), visual = unit_rows(p.n, p.width, 6);
  for_each_backend([&](Backend& backend) {
    p.samples.clear();
    const Result exact = run(backend, p, text, visual, 2.0f);
    for (std::int64_t i = 0; i < p.n; ++i) p.samples.push_back(static_cast<std::int32_t>(i * 50 % p.n));
    const Result sampled = run(backend, p, text, visual, 2.0f);
    CHECK(sampled.loss == Approx(exact.loss).epsilon(1e-6));
    CHECK(relative_error(sampled.gradient, to_double(exact.gradient)) < 1e-5);
  });
}

TEST_CASE("contrastive_alignment: the same bits on any number of threads") {
  const bool symmetric = GENERATE(false, true);
  const bool sampled = GENERATE(false, true);
  Problem p{1391, 17, 0.046, symmetric, {}};
  if (sampled) p.samples = every_third(p.n, 2);
  const std::vector<float> text = unit_rows(p.n, p.width, 7), visual = unit_rows(p.n, p.width, 8);
  CpuBackend one(1);
  const Result expected = run(one, p, text, visual, 1.0f);
  for (const int threads : {2, 3, 4}) {
    CpuBackend backend(threads);
    const Result result = run(backend, p, text, visual, 1.0f);
    CHECK(result.loss == expected.loss);
    CHECK(result.gradient == expected.gradient);
  }
}

TEST_CASE("contrastive_alignment: memory grows with rows, not with their square") {
  CpuBackend backend(2);
  const auto exact = [&](std::int64_t n) { return backend.contrastive_alignment_workspace(n, 32, 0); };
  CHECK(exact(200'000) <= 2 * exact(100'000));
  CHECK(exact(100'000) < std::size_t{100'000} * 32 * sizeof(float) * 32);
  const auto sampled = [&](std::int64_t n) { return backend.contrastive_alignment_workspace(n, 32, 1000); };
  CHECK(sampled(2'000'000) <= 2 * sampled(1'000'000));
  CHECK(sampled(1'000'000) < std::size_t{1'000'000} * 32 * sizeof(float) * 4);
}

TEST_CASE("contrastive_alignment refuses what it cannot compute") {
  CpuBackend backend(1);
  const std::vector<float> rows = unit_rows(4, 3, 9);
  Problem p{4, 3, 0.02, false, {}};
  CHECK_THROWS_AS(run(backend, p, rows, rows, 1.0f), Error);
  p.temperature = 0.1;
  p.samples = {0, 4};
  CHECK_THROWS_AS(run(backend, p, rows, rows, 1.0f), Error);
  p.samples = {2, 1, 2};
  CHECK_THROWS_AS(run(backend, p, rows, rows, 1.0f), Error);
  const Buffer<float> m = to_device(backend, rows);
  CHECK_THROWS_AS(backend.contrastive_alignment(m.matrix(4, 3), m.matrix(3, 4), 0.1f, false, {}, 1.0f,
                                                m.data(), m.matrix(4, 3), m.matrix(4, 3), {}),
                  Error);
  CHECK_THROWS_AS(backend.contrastive_alignment(m.matrix(4, 3), m.matrix(4, 3), 0.1f, false, {}, 1.0f,
                                                m.data(), m.matrix(4, 3), m.matrix(4, 3), {}),
                  Error);
}
