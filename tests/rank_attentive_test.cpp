#include <algorithm>
#include <cmath>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/device_csr.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

using Rows = std::vector<std::vector<std::int32_t>>;

struct Ranking {
  std::vector<std::int32_t> ids;
  std::vector<float> scores;
  bool operator==(const Ranking&) const = default;
};

double score(const float* query, const float* key, std::int64_t width) {
  double products[5] = {}, weights = 0.0, attended = 0.0;
  for (std::int64_t part = 0; part < 5; ++part) {
    for (std::int64_t j = 0; j < width; ++j)
      products[part] += static_cast<double>(query[j]) * static_cast<double>(key[part * width + j]);
  }
  for (int part = 1; part < 5; ++part) {
    weights += std::exp(products[part]);
    attended += std::exp(products[part]) * products[part];
  }
  return products[0] + attended / weights;
}

Ranking rank(Backend& backend, const std::vector<float>& queries, const std::vector<float>& keys,
             std::int64_t width, std::int64_t k, const Rows& excluded, std::int64_t gap = 3) {
  const auto q = static_cast<std::int64_t>(queries.size()) / width,
             n = static_cast<std::int64_t>(keys.size()) / (5 * width);
  const StridedMatrix query_rows(backend, queries, q, width, gap), key_rows(backend, keys, n, 5 * width, gap);
  const DeviceCsr pattern(backend, excluded, n);
  const Buffer<std::int32_t> ids = to_device(backend, std::vector<std::int32_t>(q * k, -9));
  const Buffer<float> scores = garbage(backend, q * k);
  const GarbageWorkspace workspace(backend, backend.rank_attentive_workspace(q, n, width, k));
  backend.rank_attentive(query_rows.view(), key_rows.view(), k,
                         excluded.empty() ? CsrPatternView{} : pattern.pattern(), ids.span(), scores.span(),
                         workspace);
  return {ids.download(), scores.download()};
}

}  // namespace

TEST_CASE("rank_attentive: the best items by a score in double precision") {
  for_each_backend([](Backend& backend) {
    for (const auto& [q, n, width, k] :
         {std::tuple{1, 1, 1, 1}, {3, 40, 8, 7}, {37, 300, 12, 20}, {5, 530, 33, 530}, {130, 270, 4, 5}}) {
      for (const bool exclude : {false, true}) {
        CAPTURE(q, n, width, k, exclude);
        const std::vector<float> queries = random_values(q * width, 1),
                                 keys = random_values(n * 5 * width, 2);
        Rows excluded;
        for (std::int32_t row = 0; exclude && row < q; ++row) {
          excluded.emplace_back();
          for (std::int32_t key = row % 3; key < n; key += 2 + row % 5) excluded.back().push_back(key);
        }
        const Ranking found = rank(backend, queries, keys, width, k, excluded, width % 4 == 0 ? 4 : 3);
        for (std::int64_t row = 0; row < q; ++row) {
          std::vector<double> all;
          for (std::int64_t key = 0; key < n; ++key)
            all.push_back(score(&queries[row * width], &keys[key * 5 * width], width));
          std::vector<double> left = all;
          if (exclude) {
            for (const std::int32_t key : excluded[row]) left[key] = -std::numeric_limits<double>::infinity();
          }
          std::vector<double> sorted = left;
          std::sort(sorted.rbegin(), sorted.rend());
          bool right = true;
          std::vector<bool> taken(static_cast<std::size_t>(n));
          for (std::int64_t j = 0; j < k; ++j) {
            const std::int32_t id = found.ids[row * k + j];
            const float value = found.scores[row * k + j];
            if (std::isinf(sorted[j])) {
              right = right && id == -1 && std::isinf(value) && value < 0.0f;
              continue;
            }
            right = right && id >= 0 && !taken[id] && !std::isinf(left[id]);
            if (!right) break;
            taken[id] = true;
            const double margin = 1e-5 * std::max(1.0, std::abs(sorted[j]));
            right = std::abs(value - all[id]) <= margin && std::abs(value - sorted[j]) <= margin;
          }
          CHECK(right);
        }
      }
    }
  });
}

TEST_CASE("rank_attentive: thousands of keys, the best ones last, all scores below zero") {
  for_each_backend([](Backend& backend) {
    constexpr std::int64_t n = 3000, k = 20;
    std::vector<float> keys(n * 5 * 4, 0.0f);
    // The score of key i: the mean of four equal products, and one more.
    for (std::int64_t i = 0; i < n; ++i) keys[i * 20] = -1.0f - static_cast<float>(n - i) / 1024.0f;
    for (const auto& [gap, gap_of_keys] : {std::pair{4, 4}, {3, 4}, {4, 3}}) {
      const StridedMatrix queries(backend, {1.0f, 0.0f, 0.0f, 0.0f, 2.0f, 0.0f, 0.0f, 0.0f}, 2, 4, gap),
          key_rows(backend, keys, n, 20, gap_of_keys);
      const Buffer<std::int32_t> ids = to_device(backend, std::vector<std::int32_t>(2 * k, -9));
      const Buffer<float> scores = garbage(backend, 2 * k);
      const GarbageWorkspace workspace(backend, backend.rank_attentive_workspace(2, n, 4, k));
      backend.rank_attentive(queries.view(), key_rows.view(), k, {}, ids.span(), scores.span(), workspace);
      const std::vector<std::int32_t> found = ids.download();
      for (std::int64_t j = 0; j < 2 * k; ++j) CHECK(found[j] == n - 1 - j % k);
    }
  });
}

TEST_CASE("rank_attentive: equal scores by the lower id, and none that is not a number") {
  for_each_backend([](Backend& backend) {
    const std::vector<float> queries = {1.0f, 2.0f};
    std::vector<float> keys;
    for (const float first : {0.5f, 0.25f, 0.5f, std::nanf(""), 0.5f})
      keys.insert(keys.end(), {first, 0.0f, 0.0f, 1.0f, 0.5f, 0.0f, 0.0f, 0.0f, 1.0f, 1.0f});
    const Ranking found = rank(backend, queries, keys, 2, 5, {});
    CHECK(found.ids == std::vector<std::int32_t>{0, 2, 4, 1, -1});
    CHECK(found.scores[0] == found.scores[2]);
    CHECK(std::isinf(found.scores[4]));
  });
}

TEST_CASE("rank_attentive gives the same bits on any number of threads and of queries at a time") {
  const std::int64_t q = 100, n = 600, width = 20, k = 9;
  const std::vector<float> queries = random_values(q * width, 3), keys = random_values(n * 5 * width, 4);
  check_same_bits([&](Backend& backend) {
    const Ranking found = rank(backend, queries, keys, width, k, {});
    return std::pair(found.ids, found.scores);
  });
  for_each_backend([&](Backend& backend) {
    const Ranking whole = rank(backend, queries, keys, width, k, {});
    for (const std::int64_t first : {0, 41, 99}) {
      const std::vector<float> one(queries.begin() + first * width, queries.begin() + (first + 1) * width);
      const Ranking alone = rank(backend, one, keys, width, k, {});
      CHECK(std::equal(alone.ids.begin(), alone.ids.end(), whole.ids.begin() + first * k));
      CHECK(std::equal(alone.scores.begin(), alone.scores.end(), whole.scores.begin() + first * k));
    }
  });
}

TEST_CASE("rank_attentive refuses what it cannot rank") {
  CpuBackend backend(1);
  std::vector<float> values(40), scores(8);
  std::vector<std::int32_t> ids(8);
  const MatrixView queries(values.data(), 2, 2), keys(values.data(), 4, 10), narrow(values.data(), 4, 8);
  const GarbageWorkspace workspace(backend, backend.rank_attentive_workspace(2, 4, 2, 4));
  const auto ranked = [&](const MatrixView& of, std::int64_t k, std::size_t room) {
    backend.rank_attentive(queries, of, k, {}, std::span(ids).first(room), std::span(scores).first(room),
                           workspace);
  };
  CHECK_NOTHROW(ranked(keys, 4, 8));
  CHECK_THROWS_AS(ranked(narrow, 4, 8), Error);
  CHECK_THROWS_AS(ranked(keys, 5, 8), Error);
  CHECK_THROWS_AS(ranked(keys, 0, 0), Error);
  CHECK_THROWS_AS(ranked(keys, 4, 7), Error);
}
