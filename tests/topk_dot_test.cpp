#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "sea/fixed_dot.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/device_csr.hpp"
#include "support/files.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

using Rows = std::vector<std::vector<std::int32_t>>;
constexpr float infinity = std::numeric_limits<float>::infinity();

struct Neighbours {
  std::vector<std::int32_t> ids;
  std::vector<float> scores;
  bool operator==(const Neighbours&) const = default;
};

struct Problem {
  std::vector<float> queries, keys;
  std::int64_t width;
  Rows excluded = {};  ///< empty: nothing is

  std::int64_t query_count() const { return static_cast<std::int64_t>(queries.size()) / width; }
  std::int64_t key_count() const { return static_cast<std::int64_t>(keys.size()) / width; }
};

/// 32 sums over every 32nd product, then halves added: the order that the contract fixes.
double ordered_dot(const float* a, const float* b, std::int64_t width) {
  std::array<double, 32> sums{};
  for (std::int64_t i = 0; i < width; ++i)
    sums[i % 32] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (std::size_t half = 16; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

Neighbours brute_force(const Problem& problem, std::int64_t k) {
  Neighbours result;
  for (std::int64_t row = 0; row < problem.query_count(); ++row) {
    std::vector<std::pair<double, std::int32_t>> ranked;
    for (std::int32_t key = 0; key < problem.key_count(); ++key) {
      if (!problem.excluded.empty() && std::find(problem.excluded[row].begin(), problem.excluded[row].end(),
                                                 key) != problem.excluded[row].end()) {
        continue;
      }
      const double score = ordered_dot(&problem.queries[row * problem.width],
                                       &problem.keys[key * problem.width], problem.width);
      if (!std::isnan(score)) ranked.emplace_back(-score, key);
    }
    std::sort(ranked.begin(), ranked.end());
    for (std::int64_t j = 0; j < k; ++j) {
      const bool there = j < static_cast<std::int64_t>(ranked.size());
      result.ids.push_back(there ? ranked[j].second : -1);
      result.scores.push_back(there ? static_cast<float>(-ranked[j].first) : -infinity);
    }
  }
  return result;
}

Neighbours search(Backend& backend, const Problem& problem, std::int64_t k) {
  const std::int64_t queries = problem.query_count(), keys = problem.key_count();
  const StridedMatrix query_rows(backend, problem.queries, queries, problem.width, 3);
  const StridedMatrix key_rows(backend, problem.keys, keys, problem.width, 5);
  const DeviceCsr excluded(backend, problem.excluded, keys);
  const Buffer<std::int32_t> ids =
      to_device(backend, std::vector<std::int32_t>(static_cast<std::size_t>(queries * k), -9));
  const Buffer<float> scores = garbage(backend, queries * k);
  const GarbageWorkspace workspace(backend, backend.topk_dot_workspace(queries, keys, problem.width, k));
  backend.topk_dot(query_rows.view(), key_rows.view(), k,
                   problem.excluded.empty() ? CsrPatternView{} : excluded.pattern(), ids.span(),
                   scores.span(), workspace);
  return {ids.download(), scores.download()};
}

void check(const Problem& problem, std::int64_t k) {
  const Neighbours expected = brute_force(problem, k);
  for_each_backend([&](Backend& backend) {
    INFO(problem.query_count() << " queries, " << problem.key_count() << " keys, width " << problem.width
                               << ", k " << k);
    const Neighbours found = search(backend, problem, k);
    CHECK(found.ids == expected.ids);
    CHECK(found.scores == expected.scores);
  });
}

std::uint32_t random_below(std::uint32_t bound, std::int64_t index, std::uint64_t seed) {
  return uniform_below(random_bits(seed, RandomPurpose::synthetic, 4, index), bound);
}

std::vector<float> unit_rows(std::int64_t rows, std::int64_t width, std::uint64_t seed) {
  std::vector<float> values = random_values(rows * width, seed);
  for (std::int64_t i = 0; i < rows; ++i) {
    float* row = &values[i * width];
    const auto inverse = static_cast<float>(1.0 / std::sqrt(ordered_dot(row, row, width)));
    for (std::int64_t j = 0; j < width; ++j) row[j] *= inverse;
  }
  return values;
}

/// Each key with probability `share` of 100.
Rows random_exclusions(std::int64_t queries, std::int64_t keys, std::uint32_t share) {
  Rows rows(static_cast<std::size_t>(queries));
  for (std::int64_t row = 0; row < queries; ++row) {
    for (std::int32_t key = 0; key < keys; ++key) {
      if (random_below(100, row * keys + key, 9) < share) rows[row].push_back(key);
    }
  }
  return rows;
}

/// Keys that are those numbered `sources`.
std::vector<float> gather(const std::vector<float>& keys, std::int64_t width,
                          const std::vector<std::int32_t>& sources) {
  std::vector<float> result;
  for (const std::int32_t source : sources) {
    result.insert(result.end(), keys.begin() + source * width, keys.begin() + (source + 1) * width);
  }
  return result;
}

}  // namespace

TEST_CASE("fixed_dot sums in the order that its contract says") {
  for (const std::int64_t width : {0, 1, 15, 31, 32, 33, 64, 100, 1000}) {
    const std::vector<float> a = random_values(width, 1), b = random_values(width, 2);
    CHECK(fixed_dot(a.data(), b.data(), width) == ordered_dot(a.data(), b.data(), width));
  }
}

TEST_CASE("topk_dot finds the best keys of random rows") {
  check({random_values(1, 1), random_values(1, 2), 1}, 1);
  check({random_values(5, 1), random_values(40, 2), 1}, 3);
  check({random_values(37 * 5, 1), random_values(23 * 5, 2), 5}, 7);
  check({random_values(301 * 33, 1), random_values(700 * 33, 2), 33}, 20);
  check({random_values(70 * 64, 1), random_values(1537 * 64, 2), 64}, 50);
  check({random_values(3 * 129, 1), random_values(2000 * 129, 2), 129}, 1);
}

TEST_CASE("topk_dot of several panels of queries and several tiles of keys") {
  Problem problem{random_values(7 * 8, 1), random_values(5003 * 8, 2), 8};
  check(problem, 20);
  problem.excluded = random_exclusions(7, 5003, 50);
  check(problem, 20);
  check({random_values(2053, 1), random_values(21, 2), 1}, 2);
}

TEST_CASE("topk_dot: a key so long that its float score is off, among short ones") {
  // Two products of millions that nearly cancel: a float is off by tenths. Such a key, as float
  // adds them up, lies below the candidates, and in truth above all.
  const float first = 1.1f, second = 1.3f;
  std::vector<float> keys;
  for (int i = 0; i < 900; ++i)
    keys.insert(keys.end(), {0.85f + 0.0001f * static_cast<float>(i % 500), 0.0f});
  const auto exact = [&](float a, float b) {
    return static_cast<double>(first) * static_cast<double>(a) +
           static_cast<double>(second) * static_cast<double>(b);
  };
  int found = 0;
  for (int step = 0; step < 20000 && found < 3; ++step) {
    const float a = 4e6f + static_cast<float>(step) * 0.5f;
    const auto b = static_cast<float>((1.02 - static_cast<double>(first) * static_cast<double>(a)) /
                                      static_cast<double>(second));
    if (exact(a, b) < 1.0 || std::fma(second, b, first * a) > 0.97f) continue;
    const std::size_t place = 2 * (300 + 250 * static_cast<std::size_t>(found++));
    keys[place] = a;
    keys[place + 1] = b;
  }
  REQUIRE(found == 3);
  for (const std::int64_t k : {1, 3}) check({{first, second, first, second}, keys, 2}, k);
  // The best key of all is excluded, the last of its row.
  Problem problem{{first, second}, keys, 2, {{1, 300, 550, 800}}};
  check(problem, 2);
}

TEST_CASE("topk_dot of queries or keys out of line") {
  const Problem problem{random_values(9 * 8, 1), random_values(300 * 8, 2), 8};
  const Neighbours expected = brute_force(problem, 5);
  for_each_backend([&](Backend& backend) {
    for (const auto& [gap, gap_of_keys] : {std::pair{4, 8}, {3, 4}, {4, 3}}) {
      const StridedMatrix queries(backend, problem.queries, 9, 8, gap),
          keys(backend, problem.keys, 300, 8, gap_of_keys);
      const Buffer<std::int32_t> ids = to_device(backend, std::vector<std::int32_t>(45, -9));
      const Buffer<float> scores = garbage(backend, 45);
      const GarbageWorkspace workspace(backend, backend.topk_dot_workspace(9, 300, 8, 5));
      backend.topk_dot(queries.view(), keys.view(), 5, {}, ids.span(), scores.span(), workspace);
      CHECK(ids.download() == expected.ids);
    }
  });
}

TEST_CASE("topk_dot ranks all keys where k is their number") {
  check({random_values(20 * 17, 1), random_values(60 * 17, 2), 17}, 60);
  check({random_values(9 * 8, 1), random_values(1100 * 8, 2), 8}, 1100);
  check({random_values(9 * 8, 1), random_values(1100 * 8, 2), 8}, 1090);
}

TEST_CASE("topk_dot leaves out what is excluded") {
  for (const std::uint32_t share : {1u, 30u, 90u, 99u}) {
    Problem problem{random_values(60 * 20, 1), random_values(1200 * 20, 2), 20};
    problem.excluded = random_exclusions(60, 1200, share);
    check(problem, 25);
  }
  Problem problem{random_values(8 * 6, 1), random_values(600 * 6, 2), 6};
  problem.excluded = random_exclusions(8, 600, 100);
  for (std::size_t row = 0; row + 1 < 8; ++row) {
    // Row r keeps r keys: the first ones of the second tile, or the very last.
    auto& excluded = problem.excluded[row];
    const auto first =
        row % 2 == 0 ? excluded.begin() + 512 : excluded.end() - static_cast<std::int64_t>(row);
    excluded.erase(first, first + static_cast<std::int64_t>(row));
  }
  problem.excluded[7].clear();
  check(problem, 5);
  const Neighbours expected = brute_force(problem, 5);
  CHECK(std::count(expected.ids.begin(), expected.ids.end(), -1) == 5 + 4 + 3 + 2 + 1);
}

TEST_CASE("topk_dot orders exact ties by id") {
  // Small integers: few distinct scores, exact in single precision.
  std::vector<float> queries, keys;
  const std::int64_t query_count = emulated ? 9 : 50;
  for (std::int64_t i = 0; i < query_count * 4; ++i)
    queries.push_back(static_cast<float>(random_below(3, i, 1)) - 1.0f);
  for (std::int64_t i = 0; i < 1500 * 4; ++i)
    keys.push_back(static_cast<float>(random_below(3, i, 2)) - 1.0f);
  check({queries, keys, 4}, 10);
  check({queries, keys, 4}, 300);
  Problem problem{queries, keys, 4};
  problem.excluded = random_exclusions(query_count, 1500, 40);
  check(problem, 33);
  check({queries, std::vector<float>(1500 * 4, 1.0f), 4}, 12);  // all keys equal
}

TEST_CASE("topk_dot of keys that stand many times, against themselves") {
  // 40 distinct unit rows, each 22 times on average: the k-th score ties far beyond the margin.
  std::vector<std::int32_t> sources;
  for (std::int64_t i = 0; i < 900; ++i) sources.push_back(static_cast<std::int32_t>(random_below(40, i, 3)));
  const std::vector<float> rows = gather(unit_rows(40, 96, 4), 96, sources);
  const std::int64_t query_count = emulated ? 70 : 900;
  check({{rows.begin(), rows.begin() + query_count * 96}, rows, 96}, 10);
  check({gather(rows, 96, {0, 5, 77}), rows, 96}, 400);
}

TEST_CASE("topk_dot tells scores apart that are equal in single precision") {
  // All keys lie within a few units in the last place of one another.
  constexpr std::int64_t width = 200;
  const std::vector<float> base = unit_rows(1, width, 5);
  std::vector<float> keys;
  for (std::int64_t key = 0; key < 800; ++key) {
    for (std::int64_t j = 0; j < width; ++j) {
      const auto ulps = static_cast<int>(random_below(3, key * width + j, 6)) - 1;
      keys.push_back(base[j] * (1.0f + static_cast<float>(ulps) * 0x1.0p-23f));
    }
  }
  std::vector<float> queries = base;
  const std::vector<float> others = unit_rows(6, width, 7);
  queries.insert(queries.end(), others.begin(), others.end());
  check({queries, keys, width}, 10);
  Problem problem{queries, keys, width};
  problem.excluded = random_exclusions(7, 800, 25);
  check(problem, 60);
}

TEST_CASE("topk_dot of zero rows: all scores are 0, the lower ids win") {
  std::vector<float> queries = random_values(6 * 40, 1), keys = random_values(700 * 40, 2);
  std::fill_n(queries.begin() + 2 * 40, 40, 0.0f);
  std::fill_n(queries.begin() + 3 * 40, 40, -0.0f);
  for (const std::int64_t key : {0, 1, 300, 301, 699}) std::fill_n(keys.begin() + key * 40, 40, 0.0f);
  Problem problem{queries, keys, 40};
  check(problem, 9);
  problem.excluded = Rows(6);
  problem.excluded[2] = {0, 1, 3, 512};
  problem.excluded[3] = {1, 2, 3};
  check(problem, 9);
  const Neighbours found = brute_force(problem, 3);
  CHECK(std::vector<std::int32_t>(found.ids.begin() + 6, found.ids.begin() + 12) ==
        std::vector<std::int32_t>{2, 4, 5, 0, 4, 5});
  check({std::vector<float>(3 * 40, 0.0f), std::vector<float>(50 * 40, 0.0f), 40}, 50);
  // Negative scores only, and keys of 0 above them.
  check({std::vector<float>(2 * 40, 1.0f), std::vector<float>(80 * 40, -0.5f), 40}, 3);
}

TEST_CASE("topk_dot of values too large or too small for single precision products") {
  std::vector<float> queries = random_values(5 * 9, 1), keys = random_values(600 * 9, 2);
  std::vector<float> large_keys = keys, small_keys = keys, small_queries = queries;
  for (std::int64_t i = 0; i < 600 * 9; ++i) {
    large_keys[i] *= i / 9 % 3 == 0 ? 1e30f : 1.0f;
    small_keys[i] *= 1e-25f;
  }
  for (float& value : queries) value *= 1e12f;
  for (float& value : small_queries) value *= 1e-18f;
  check({queries, large_keys, 9}, 12);
  check({small_queries, small_keys, 9}, 12);
  // Few keys: all are candidates, unless a product overflows.
  large_keys.resize(11 * 9);
  check({queries, large_keys, 9}, 11);
}

TEST_CASE("topk_dot never takes a score that is not a number") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> queries = random_values(5 * 12, 1), keys = random_values(530 * 12, 2);
  keys[3 * 12 + 5] = keys[511 * 12] = keys[529 * 12 + 11] = nan;
  check({queries, keys, 12}, 8);
  check({queries, keys, 12}, 530);
  queries[2 * 12 + 4] = nan;
  check({queries, keys, 12}, 8);
  keys[7 * 12] = infinity;
  check({queries, keys, 12}, 8);
}

TEST_CASE("topk_dot gives the same bits on any number of threads") {
  const std::vector<float> rows = unit_rows(1000, 48, 3);
  check_same_bits([&](Backend& backend) { return search(backend, {rows, rows, 48}, 10); });
}

TEST_CASE("topk_dot's workspace is a tile per thread, however many queries and keys there are") {
  CpuBackend backend(4);
  CHECK(backend.topk_dot_workspace(1000000, 1000000, 128, 50) < 5000000);
  CHECK(backend.topk_dot_workspace(1000, 100000, 128, 100000) < 70000000);
}

TEST_CASE("topk_dot refuses a k that is not there, other widths, and a small workspace") {
  CpuBackend backend(1);
  std::vector<float> values(12), scores(12);
  std::vector<std::int32_t> ids(12);
  const ConstMatrixView rows(values.data(), 4, 3);
  const GarbageWorkspace memory(backend, backend.topk_dot_workspace(4, 4, 3, 3));
  const Workspace workspace = memory;
  const IndexView three(ids.data(), 12);
  const auto refusal = [&](ConstMatrixView keys, std::int64_t k, const CsrPatternView& excluded, IndexView to,
                           Workspace scratch) {
    return error_of([&] { backend.topk_dot(rows, keys, k, excluded, to, scores, scratch); });
  };
  CHECK(refusal(rows, 3, {}, ids, workspace).empty());
  CHECK(refusal(rows, 0, {}, ids, workspace) == "topk_dot: k must be between 1 and the number of keys");
  CHECK(refusal(rows, 5, {}, ids, workspace) == "topk_dot: k must be between 1 and the number of keys");
  CHECK(refusal({values.data(), 3, 4}, 3, {}, ids, workspace) ==
        "topk_dot: queries and keys must have one width, of at least 1");
  CHECK(refusal(rows, 3, {}, three.first(9), workspace) == "topk_dot: ids has 9 elements and must have 12");
  CHECK(contains(refusal(rows, 3, {}, ids, {workspace.data, 64}), "topk_dot: the workspace has 64 bytes"));
  const DeviceCsr excluded(backend, {{0}, {1}}, 4);
  CHECK(refusal(rows, 3, excluded.pattern(), ids, workspace) == "topk_dot: excluded must be queries x keys");
}
