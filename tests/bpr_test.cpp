#include <cmath>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/batch_loss.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr BprSum all[] = {BprSum::mean_log2, BprSum::mean, BprSum::sum};

Operator bpr(const BatchCase& c, BprSum sum) {
  constexpr float weight = 0.7f;
  const double share = sum == BprSum::sum ? 1.0 : 1.0 / static_cast<double>(c.count);
  const double scale = sum == BprSum::mean_log2 ? share / std::log(2.0) : share;
  const auto terms = [=](const Values& in) {
    Values results{{0.0}, std::vector<double>(in[0].size()), std::vector<double>(in[1].size())};
    for (std::int64_t i = 0; i < c.count; ++i) {
      const std::int64_t u = c.triples.users[i] * c.width, p = c.triples.positives[i] * c.width,
                         n = c.triples.negatives[i] * c.width;
      double difference = 0.0;
      for (std::int64_t j = 0; j < c.width; ++j) difference += in[0][u + j] * (in[1][p + j] - in[1][n + j]);
      results[0][0] += scale * (difference > 0.0 ? std::log1p(std::exp(-difference))
                                                 : std::log1p(std::exp(difference)) - difference);
      const double slope = -static_cast<double>(weight) * scale / (1.0 + std::exp(difference));
      for (std::int64_t j = 0; j < c.width; ++j) {
        results[1][u + j] += slope * (in[1][p + j] - in[1][n + j]);
        results[2][p + j] += slope * in[0][u + j];
        results[2][n + j] -= slope * in[0][u + j];
      }
    }
    return results;
  };
  const BatchRun run = [=](Backend& backend, const Views& in, const DeviceTriples& device, const Views& out) {
    const auto batch_size = static_cast<std::int64_t>(device.batch().users.size());
    const GarbageWorkspace workspace(backend, backend.bpr_workspace(batch_size, c.width));
    backend.bpr(in[0], in[1], device.batch(), device.order(), device.state(), sum, weight, out[0].data,
                out[1], out[2], workspace);
  };
  Operator described = batch_loss(
      c, weight, [=](const Values& in) { return terms(in)[0][0]; }, run, terms);
  if (c.width * (c.users + c.items) > 600) described.differences = nullptr;
  described.tolerance = 2e-6;
  return described;
}

/// Users, each with a positive and a negative of its own, whose scores differ by what stands here.
BatchCase of_differences(const std::vector<float>& differences) {
  const auto n = static_cast<std::int64_t>(differences.size());
  BatchCase c{n, 2 * n, 1, {}, n};
  for (std::int32_t i = 0; i < n; ++i) {
    c.triples.users.push_back(i);
    c.triples.positives.push_back(2 * i);
    c.triples.negatives.push_back(2 * i + 1);
    c.item_values.insert(c.item_values.end(), {1.0f, 0.0f});
  }
  c.user_values = differences;
  return c;
}

}  // namespace

TEST_CASE("bpr equals the sum over triples, its gradients central differences") {
  for (const BprSum sum : all) {
    check_operator(bpr(batch_case(1, 2, 1, 1, 1), sum));
    check_operator(bpr(batch_case(9, 7, 5, 60, 60), sum));
    check_operator(bpr(batch_case(6, 8, 8, 40, 31), sum));
  }
  // More columns than a warp takes at once, more triples than a block, more rows than all warps.
  check_outputs(bpr(batch_case(40, 30, 33, 100, 100), BprSum::mean_log2));
  check_outputs(bpr(batch_case(20, 30, 132, 300, 290), BprSum::mean_log2));
  check_outputs(bpr(batch_case(50, 600, 20, 501, 501), BprSum::mean));
  check_outputs(bpr(batch_case(60, 90, 132, 10, 10), BprSum::mean));
}

TEST_CASE("bpr: rows outside the batch have the gradient 0") {
  for_each_backend([](Backend& backend) {
    const BatchCase c{4, 5, 3, {{0, 0, 2, 0, 3, 2}, {1, 1, 4, 2, 0, 2}, {4, 2, 1, 1, 1, 0}}, 6};
    const auto result = run_operator(backend, bpr(c, BprSum::mean_log2));
    for (std::size_t j = 0; j < 3; ++j) {
      CHECK(result[1][3 + j] == 0.0f);
      CHECK(result[2][9 + j] == 0.0f);
    }
  });
}

TEST_CASE("bpr of scores far apart neither overflows nor vanishes wrongly") {
  for_each_backend([](Backend& backend) {
    const auto result =
        run_operator(backend, bpr(of_differences({1000.0f, -1000.0f, 0.0f, 40.0f}), BprSum::sum));
    CHECK(result[0][0] == Approx(1000.0 + std::log(2.0)).epsilon(1e-6));
    // Of the first nothing is left; of the last what a float holds.
    CHECK(result[2][0] == 0.0f);
    CHECK(result[2][2] == Approx(0.7 * 1000.0).epsilon(1e-6));
    CHECK(result[2][4] == 0.0f);
    CHECK(result[2][6] == Approx(-0.7 * 40.0 * std::exp(-40.0)).epsilon(1e-5).margin(0.0));
    // A loss that is the logarithm of a number next to 1.
    const auto tiny = run_operator(backend, bpr(of_differences({40.0f, 50.0f}), BprSum::sum));
    CHECK(tiny[0][0] == Approx(std::exp(-40.0) + std::exp(-50.0)).epsilon(1e-6).margin(0.0));
    const auto none = run_operator(backend, bpr(of_differences({1.0f, std::nanf("")}), BprSum::sum));
    CHECK(std::isnan(none[0][0]));
  });
}

TEST_CASE("bpr of large scores that nearly cancel") {
  // 10,007 (1.1, -1.1 + 2^-20, 0, 0): a lane that adds floats up loses a part of what is left.
  BatchCase c{1, 2, 4, {{0}, {0}, {1}}, 1};
  c.user_values = {10007.0f, 10007.0f, 0.0f, 0.0f};
  c.item_values = {1.1f, 0x1p-20f, 0.0f, 0.0f, 0.0f, 1.1f, 0.0f, 0.0f};
  const double difference = 10007.0 * 0x1p-20;
  for_each_backend([&](Backend& backend) {
    if (dynamic_cast<CpuBackend*>(&backend) != nullptr) return;  // which adds floats up
    const auto result = run_operator(backend, bpr(c, BprSum::sum));
    CHECK(result[0][0] == Approx(std::log1p(std::exp(-difference))).epsilon(1e-6));
    CHECK(result[2][0] == Approx(-0.7 * 10007.0 / (1.0 + std::exp(difference))).epsilon(1e-6));
    CHECK(result[1][1] == Approx(-0.7 * (0x1p-20 - 1.1) / (1.0 + std::exp(difference))).epsilon(1e-5));
  });
}

TEST_CASE("bpr gives the same bits on any number of threads") {
  check_threads(bpr(batch_case(700, 500, 65, 1000, 999), BprSum::mean_log2));
}

TEST_CASE("bpr refuses an empty batch and other shapes") {
  check_refuses(bpr(batch_case(3, 4, 2, 5, 5), BprSum::mean), {2});  // but the loss
  CpuBackend backend(1);
  for (const std::int64_t count : {0, 3}) {
    const BatchCase c{1, 2, 1, {{0, 0}, {0, 0}, {1, 1}}, count};
    CHECK_THROWS_AS(run_operator(backend, bpr(c, BprSum::mean)), Error);
  }
}
