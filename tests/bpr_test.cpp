#include <algorithm>
#include <cmath>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"
#include "support/triples.hpp"

using namespace sea;
using namespace sea::test;

namespace {

using Result = BatchLoss;
using Shape = BatchShape;

/// sort_batch and bpr on the first `count` triples.
Result run(Backend& backend, const Shape& shape, const std::vector<float>& user_values,
           const std::vector<float>& item_values, const Triples& triples, std::int64_t count, float weight,
           BprSum sum = BprSum::mean_log2) {
  const DeviceTriples device(backend, triples, shape.users, count);
  const StridedMatrix user_rows(backend, user_values, shape.users, shape.width, 2);
  const StridedMatrix item_rows(backend, item_values, shape.items, shape.width, 4);
  const StridedMatrix d_users(backend, shape.users, shape.width, 1),
      d_items(backend, shape.items, shape.width);
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend, backend.bpr_workspace(triples.size(), shape.width));
  backend.bpr(user_rows.view(), item_rows.view(), device.batch(), device.order(), device.state(), sum, weight,
              loss.data(), d_users.view(), d_items.view(), workspace);
  return {loss.download().front(), d_users.values(), d_items.values()};
}

double naive_loss(const Shape& shape, const std::vector<double>& users, const std::vector<double>& items,
                  const Triples& triples, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    double difference = 0.0;
    for (std::int64_t j = 0; j < shape.width; ++j) {
      difference +=
          users[triples.users[i] * shape.width + j] *
          (items[triples.positives[i] * shape.width + j] - items[triples.negatives[i] * shape.width + j]);
    }
    sum -= std::log2(1.0 / (1.0 + std::exp(-difference)));
  }
  return sum / static_cast<double>(count);
}

/// Derivatives of weight * loss, summed triple by triple.
std::pair<std::vector<double>, std::vector<double>> naive_gradients(const Shape& shape,
                                                                    const std::vector<double>& users,
                                                                    const std::vector<double>& items,
                                                                    const Triples& triples,
                                                                    std::int64_t count, double weight) {
  std::vector<double> d_users(users.size()), d_items(items.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t u = triples.users[i] * shape.width, p = triples.positives[i] * shape.width,
                       n = triples.negatives[i] * shape.width;
    double difference = 0.0;
    for (std::int64_t j = 0; j < shape.width; ++j) difference += users[u + j] * (items[p + j] - items[n + j]);
    const double slope =
        -weight / ((1.0 + std::exp(difference)) * static_cast<double>(count) * std::log(2.0));
    for (std::int64_t j = 0; j < shape.width; ++j) {
      d_users[u + j] += slope * (items[p + j] - items[n + j]);
      d_items[p + j] += slope * users[u + j];
      d_items[n + j] -= slope * users[u + j];
    }
  }
  return {d_users, d_items};
}

}  // namespace

TEST_CASE("bpr equals the sum over triples, with rows hit many times and rows never hit") {
  const std::vector<std::pair<Shape, std::int64_t>> cases{
      {{1, 2, 1}, 1}, {{9, 7, 5}, 60}, {{400, 300, 33}, 100}, {{50, 3000, 128}, 501}};
  for (const auto& [shape, count] : cases) {
    const std::vector<float> users = random_values(shape.users * shape.width, 4);
    const std::vector<float> items = random_values(shape.items * shape.width, 5);
    const Triples triples = random_triples(count, shape.users, shape.items);
    const auto [d_users, d_items] =
        naive_gradients(shape, to_double(users), to_double(items), triples, count, 0.7);
    const double loss = naive_loss(shape, to_double(users), to_double(items), triples, count);
    for_each_backend([&, s = shape, n = count, &du = d_users, &di = d_items](Backend& backend) {
      const Result result = run(backend, s, users, items, triples, n, 0.7f);
      CHECK(result.loss == Approx(loss).epsilon(1e-6));
      CHECK(relative_error(result.d_users, du) < 2e-6);
      CHECK(relative_error(result.d_items, di, 1e-6) < 2e-6);
      for (std::size_t i = 0; i < du.size(); ++i) CHECK((du[i] != 0.0 || result.d_users[i] == 0.0f));
    });
  }
}

TEST_CASE("bpr's gradients equal central differences") {
  const Shape shape{4, 5, 3};
  const Triples triples{{0, 0, 2, 0, 3, 2}, {1, 1, 4, 2, 0, 2}, {4, 2, 1, 1, 1, 0}};
  const std::vector<float> users = random_values(12, 6), items = random_values(15, 7);
  const std::vector<double> u0 = to_double(users), i0 = to_double(items);
  const auto by_user = [&](const std::vector<double>& at) {
    return 3.0 * naive_loss(shape, at, i0, triples, 6);
  };
  const auto by_item = [&](const std::vector<double>& at) {
    return 3.0 * naive_loss(shape, u0, at, triples, 6);
  };
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, shape, users, items, triples, 6, 3.0f);
    CHECK(relative_error(result.d_users, central_differences(by_user, u0)) < 1e-6);
    CHECK(relative_error(result.d_items, central_differences(by_item, i0)) < 1e-6);
    for (int j = 0; j < 3; ++j) {
      CHECK(result.d_users[3 + j] == 0.0f);
      CHECK(result.d_items[9 + j] == 0.0f);
    }
  });
}

TEST_CASE("bpr as a mean and as a sum of natural logarithms") {
  const Shape shape{40, 70, 24};
  const std::vector<float> users = random_values(40 * 24, 8), items = random_values(70 * 24, 9);
  const Triples triples = random_triples(150, 40, 70);
  const double log2_loss = naive_loss(shape, to_double(users), to_double(items), triples, 130);
  for (const auto& [sum, factor] :
       {std::pair{BprSum::mean, std::log(2.0)}, {BprSum::sum, 130.0 * std::log(2.0)}}) {
    const auto [d_users, d_items] =
        naive_gradients(shape, to_double(users), to_double(items), triples, 130, 0.5 * factor);
    for_each_backend([&, s = sum, f = factor, &du = d_users, &di = d_items](Backend& backend) {
      const Result result = run(backend, shape, users, items, triples, 130, 0.5f, s);
      CHECK(result.loss == Approx(f * log2_loss).epsilon(1e-6));
      CHECK(relative_error(result.d_users, du) < 1e-6);
      CHECK(relative_error(result.d_items, di) < 1e-6);
    });
  }
}

TEST_CASE("bpr of a batch that is not full looks at its first triples alone") {
  const Shape shape{20, 30, 17};
  const std::vector<float> users = random_values(20 * 17, 1), items = random_values(30 * 17, 2);
  Triples triples = random_triples(90, 20, 30);
  const auto [d_users, d_items] =
      naive_gradients(shape, to_double(users), to_double(items), triples, 41, 1.0);
  const double loss = naive_loss(shape, to_double(users), to_double(items), triples, 41);
  for (std::int64_t i = 41; i < 90; ++i) {
    triples.users[i] = triples.positives[i] = triples.negatives[i] = std::numeric_limits<std::int32_t>::max();
  }
  for_each_backend([&, &du = d_users, &di = d_items](Backend& backend) {
    const Result result = run(backend, shape, users, items, triples, 41, 1.0f);
    CHECK(result.loss == Approx(loss).epsilon(1e-6));
    CHECK(relative_error(result.d_users, du) < 1e-6);
    CHECK(relative_error(result.d_items, di) < 1e-6);
  });
}

TEST_CASE("bpr of scores far apart neither overflows nor vanishes wrongly") {
  // One user of value 1; items 0 and 1 lie 2,000 apart.
  const Shape shape{1, 2, 1};
  for_each_backend([&](Backend& backend) {
    const Result right = run(backend, shape, {1.0f}, {1000.0f, -1000.0f}, {{0}, {0}, {1}}, 1, 1.0f);
    CHECK(right.loss == 0.0f);
    CHECK(right.d_items == std::vector<float>{0.0f, 0.0f});
    const Result wrong = run(backend, shape, {1.0f}, {1000.0f, -1000.0f}, {{0}, {1}, {0}}, 1, 1.0f);
    CHECK(wrong.loss == Approx(2000.0 / std::log(2.0)));
    CHECK(wrong.d_items[0] == Approx(1.0 / std::log(2.0)));
    CHECK(wrong.d_items[1] == Approx(-1.0 / std::log(2.0)));
    CHECK(wrong.d_users[0] == Approx(2000.0 / std::log(2.0)));
    const Result even = run(backend, shape, {1.0f}, {5.0f, 5.0f}, {{0}, {1}, {0}}, 1, 1.0f);
    CHECK(even.loss == 1.0f);
    CHECK(even.d_items[0] == Approx(0.5 / std::log(2.0)));
    const Result close = run(backend, shape, {1.0f}, {20.0f, 0.0f}, {{0}, {0}, {1}}, 1, 1.0f);
    CHECK(close.loss == Approx(std::exp(-20.0) / std::log(2.0)));
  });
}

TEST_CASE("bpr gives the same bits on any number of threads") {
  const Shape shape{700, 500, 65};
  const std::vector<float> users = random_values(700 * 65, 1), items = random_values(500 * 65, 2);
  const Triples triples = random_triples(1000, 60, 500);
  check_same_bits([&](Backend& backend) { return run(backend, shape, users, items, triples, 999, 1.0f); });
}

TEST_CASE("bpr refuses an empty batch and other shapes") {
  CpuBackend backend(1);
  const Triples triples{{0, 0}, {0, 0}, {1, 1}};
  CHECK_THROWS_AS(run(backend, {1, 2, 1}, {1.0f}, {1.0f, 2.0f}, triples, 0, 1.0f), Error);
  CHECK_THROWS_AS(run(backend, {1, 2, 1}, {1.0f}, {1.0f, 2.0f}, triples, 3, 1.0f), Error);
  std::vector<float> values(20);
  std::vector<std::int32_t> indices(3);
  const StepState state{0, 0, 0, 1};
  float loss = 0.0f;
  const IndexView one(indices.data(), 1);
  const MatrixView users(values.data(), 2, 2), items(values.data(), 2, 3);
  CHECK_THROWS_AS(backend.bpr(users, items, {one, one, one}, {indices, indices}, &state, BprSum::mean, 1.0f,
                              &loss, users, items, {}),
                  Error);
}
