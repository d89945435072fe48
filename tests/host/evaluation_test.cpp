#include "training/evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "sea/cpu.hpp"
#include "sea/device_csr.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace sea;

TEST_CASE("evaluation: held-out pairs of items without a training pair can be left out") {
  HostCsr train, held_out;
  train.rows = held_out.rows = 4;
  train.columns = held_out.columns = 6;
  train.row_offsets = {0, 2, 3, 3, 4};
  train.column_indices = {0, 2, 2, 5};
  held_out.row_offsets = {0, 3, 4, 6, 6};
  held_out.column_indices = {1, 3, 5, 4, 0, 2};
  const HostCsr known = with_warm_items(held_out, train);
  CHECK(known.rows == 4);
  CHECK(known.columns == 6);
  CHECK(known.row_offsets == std::vector<std::int64_t>{0, 1, 1, 3, 3});
  CHECK(known.column_indices == std::vector<std::int32_t>{5, 0, 2});
}

namespace {

using Sets = std::vector<std::set<std::int32_t>>;

HostCsr to_csr(const Sets& rows, std::int64_t columns) {
  HostCsr csr;
  csr.rows = static_cast<std::int64_t>(rows.size());
  csr.columns = columns;
  for (const auto& row : rows) {
    csr.column_indices.insert(csr.column_indices.end(), row.begin(), row.end());
    csr.row_offsets.push_back(csr.nonzeros());
  }
  return csr;
}

std::uint32_t draw(std::int64_t i, std::uint32_t bound) {
  return uniform_below(random_bits(7, RandomPurpose::synthetic, 1, i), bound);
}

/// Every metric from its definition, over the whole sorted list, in double precision.
struct Naive {
  double recall = 0, ndcg = 0, precision = 0, map = 0;
};

Naive naive_metrics(const std::vector<std::vector<double>>& scores, const Sets& train, const Sets& held_out,
                    std::size_t k) {
  Naive sum;
  double users = 0;
  for (std::size_t u = 0; u < scores.size(); ++u) {
    if (held_out[u].empty()) continue;
    std::vector<std::int32_t> order;
    for (std::size_t i = 0; i < scores[u].size(); ++i) {
      if (train[u].count(static_cast<std::int32_t>(i)) == 0) order.push_back(static_cast<std::int32_t>(i));
    }
    std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return scores[u][a] != scores[u][b] ? scores[u][a] > scores[u][b] : a < b;
    });
    double hits = 0, gain = 0, ideal = 0, precisions = 0;
    for (std::size_t rank = 0; rank < std::min(k, order.size()); ++rank) {
      if (held_out[u].count(order[rank]) == 0) continue;
      ++hits;
      gain += 1 / std::log2(rank + 2.0);
      precisions += hits / (rank + 1.0);
    }
    const std::size_t most = std::min(k, held_out[u].size());
    for (std::size_t rank = 0; rank < most; ++rank) ideal += 1 / std::log2(rank + 2.0);
    sum.recall += hits / static_cast<double>(held_out[u].size());
    sum.ndcg += gain / ideal;
    sum.precision += hits / static_cast<double>(k);
    sum.map += precisions / static_cast<double>(most);
    ++users;
  }
  return {sum.recall / users, sum.ndcg / users, sum.precision / users, sum.map / users};
}

}  // namespace

TEST_CASE("evaluation: equals sorting all items by definition, ties and all", "[evaluation]") {
  constexpr std::int64_t users = 57, items = 43, width = 6;
  Sets train(users), valid(users), test(users);
  for (std::int64_t n = 0; n < 900; ++n) {
    const auto user = draw(3 * n, users);
    const auto item = static_cast<std::int32_t>(draw(3 * n + 1, items));
    if (user % 9 == 4) continue;  // users without anything
    const auto split = draw(3 * n + 2, 10);
    Sets& target = split == 0 ? valid : split == 1 ? test : train;
    if (train[user].count(item) + valid[user].count(item) + test[user].count(item) == 0)
      target[user].insert(item);
  }
  for (std::int32_t i = 0; i < 40; ++i) {  // a user with less than the cut-off left to rank
    if (valid[3].count(i) + test[3].count(i) == 0) train[3].insert(i);
  }
  // Small whole numbers: every dot product is exact, and many are equal.
  std::vector<float> u(users * width), v(items * width);
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = static_cast<float>(draw(10'000 + i, 5)) - 2.0f;
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(draw(20'000 + i, 5)) - 2.0f;
  std::vector<std::vector<double>> scores(users, std::vector<double>(items));
  for (std::int64_t a = 0; a < users; ++a) {
    for (std::int64_t b = 0; b < items; ++b) {
      for (std::int64_t j = 0; j < width; ++j) scores[a][b] += double(u[a * width + j]) * v[b * width + j];
    }
  }
  const HostCsr train_csr = to_csr(train, items), valid_csr = to_csr(valid, items),
                test_csr = to_csr(test, items);
  const std::vector<std::int64_t> cutoffs = {1, 5, 20, 60};
  sea::test::for_each_backend([&](Backend& backend) {
    const DeviceCsr history(backend, users, items, train_csr.row_offsets, train_csr.column_indices, {});
    const Buffer<float> du = to_device(backend, u), dv = to_device(backend, v);
    std::vector<Metrics> first;
    for (const std::int64_t block : {1000, 57, 8, 1}) {
      Evaluator evaluator(backend, history.pattern(), {&valid_csr, &test_csr}, cutoffs, block, width);
      const std::vector<Metrics> metrics =
          evaluator.evaluate(du.matrix(users, width), dv.matrix(items, width));
      REQUIRE(metrics.size() == 2);
      for (const std::int64_t k : cutoffs) {
        for (const int split : {0, 1}) {
          const Naive naive =
              naive_metrics(scores, train, split == 0 ? valid : test, static_cast<std::size_t>(k));
          const std::string at = "@" + std::to_string(k);
          INFO((split == 0 ? "valid " : "test ") << at);
          CHECK(metrics[split].at("recall" + at) == Approx(naive.recall).epsilon(1e-12));
          CHECK(metrics[split].at("ndcg" + at) == Approx(naive.ndcg).epsilon(1e-12));
          CHECK(metrics[split].at("precision" + at) == Approx(naive.precision).epsilon(1e-12));
          CHECK(metrics[split].at("map" + at) == Approx(naive.map).epsilon(1e-12));
        }
      }
      // No block size changes a bit.
      if (first.empty()) first = metrics;
      CHECK(metrics[0].values == first[0].values);
      CHECK(metrics[1].values == first[1].values);
      CHECK(metrics[0].users ==
            std::count_if(valid.begin(), valid.end(), [](const auto& s) { return !s.empty(); }));
    }
  });
}

TEST_CASE("evaluation: an evaluator refuses cut-offs and blocks that it cannot rank by", "[evaluation]") {
  CpuBackend backend(1);
  const HostCsr train = to_csr(Sets(4), 6);
  const auto error = [&](const std::vector<std::int64_t>& cutoffs, std::int64_t block_users) {
    return sea::test::error_of(
        [&] { Evaluator(backend, train.pattern(), {&train}, cutoffs, block_users, 3); });
  };
  CHECK(error({1, 5, 20}, 1).empty());
  CHECK(error({}, 8) == "Evaluator: the cut-offs are [] and must be one or more, ascending, from 1 on");
  CHECK(error({10, 5}, 8) ==
        "Evaluator: the cut-offs are [10, 5] and must be one or more, ascending, from 1 on");
  for (const auto& cutoffs : std::vector<std::vector<std::int64_t>>{{5, 5}, {0, 5}, {-1}, {1, 20, 5}})
    CHECK_FALSE(error(cutoffs, 8).empty());
  CHECK(error({5}, 0) == "Evaluator: block_users is 0 and must be at least 1");
  CHECK(error({5}, -3) == "Evaluator: block_users is -3 and must be at least 1");
}
