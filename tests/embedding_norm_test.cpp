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

/// sort_batch and embedding_norm on the first `count` triples.
BatchLoss run(Backend& backend, const BatchShape& shape, const std::vector<float>& user_values,
              const std::vector<float>& item_values, const Triples& triples, std::int64_t count,
              EmbeddingNorm norm, float weight) {
  const DeviceTriples device(backend, triples, shape.users, count);
  const StridedMatrix users(backend, user_values, shape.users, shape.width, 2);
  const StridedMatrix items(backend, item_values, shape.items, shape.width, 4);
  const StridedMatrix d_users(backend, shape.users, shape.width, 1),
      d_items(backend, shape.items, shape.width);
  const Buffer<float> loss = garbage(backend, 1);
  const GarbageWorkspace workspace(backend, backend.embedding_norm_workspace(triples.size()));
  backend.embedding_norm(users.view(), items.view(), device.batch(), device.order(), device.state(), norm,
                         weight, loss.data(), d_users.view(), d_items.view(), workspace);
  return {loss.download().front(), d_users.values(), d_items.values()};
}

double naive(const BatchShape& shape, const std::vector<double>& users, const std::vector<double>& items,
             const Triples& triples, std::int64_t count, EmbeddingNorm norm) {
  double users_square = 0.0, positives_square = 0.0, negatives_square = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < shape.width; ++j) {
      users_square += std::pow(users[triples.users[i] * shape.width + j], 2);
      positives_square += std::pow(items[triples.positives[i] * shape.width + j], 2);
      negatives_square += std::pow(items[triples.negatives[i] * shape.width + j], 2);
    }
  }
  if (norm == EmbeddingNorm::half_squares) return (users_square + positives_square + negatives_square) / 2.0;
  return (std::sqrt(users_square) + std::sqrt(positives_square) + std::sqrt(negatives_square)) /
         static_cast<double>(count);
}

constexpr EmbeddingNorm both[] = {EmbeddingNorm::norms, EmbeddingNorm::half_squares};

}  // namespace

TEST_CASE("embedding_norm equals the sum over triples, its gradients central differences") {
  for (const auto& [shape, count] :
       {std::pair{BatchShape{1, 2, 1}, 1}, {{9, 7, 5}, 60}, {{12, 20, 33}, 15}, {{10, 8, 8}, 31}}) {
    const std::vector<float> users = random_values(shape.users * shape.width, 4);
    const std::vector<float> items = random_values(shape.items * shape.width, 5);
    const std::vector<double> u0 = to_double(users), i0 = to_double(items);
    const Triples triples = random_triples(count, shape.users, shape.items);
    for (const EmbeddingNorm norm : both) {
      const auto loss = [&, s = shape, n = count](const std::vector<double>& u,
                                                  const std::vector<double>& i) {
        return naive(s, u, i, triples, n, norm);
      };
      const auto d_users = central_differences([&](auto& at) { return 0.7 * loss(at, i0); }, u0);
      const auto d_items = central_differences([&](auto& at) { return 0.7 * loss(u0, at); }, i0);
      for_each_backend([&, s = shape, n = count](Backend& backend) {
        const BatchLoss result = run(backend, s, users, items, triples, n, norm, 0.7f);
        CHECK(result.loss == Approx(loss(u0, i0)).epsilon(1e-6));
        CHECK(relative_error(result.d_users, d_users) < 1e-6);
        CHECK(relative_error(result.d_items, d_items) < 1e-6);
        for (std::size_t i = 0; i < d_users.size(); ++i)
          CHECK((d_users[i] != 0.0) == (result.d_users[i] != 0.0f));
      });
    }
  }
}

TEST_CASE("embedding_norm of a batch that is not full looks at its first triples alone") {
  const BatchShape shape{20, 30, 16};
  const std::vector<float> users = random_values(20 * 16, 1), items = random_values(30 * 16, 2);
  Triples triples = random_triples(90, 20, 30);
  for (std::int64_t i = 41; i < 90; ++i) {
    triples.users[i] = triples.positives[i] = triples.negatives[i] = std::numeric_limits<std::int32_t>::max();
  }
  for (const EmbeddingNorm norm : both) {
    const double loss = naive(shape, to_double(users), to_double(items), triples, 41, norm);
    for_each_backend([&](Backend& backend) {
      const BatchLoss result = run(backend, shape, users, items, triples, 41, norm, 1.0f);
      CHECK(result.loss == Approx(loss).epsilon(1e-6));
    });
  }
}

TEST_CASE("embedding_norm of rows that are zero has the gradient 0") {
  for_each_backend([](Backend& backend) {
    const BatchLoss result = run(backend, {1, 2, 2}, {0.0f, 0.0f}, {3.0f, 4.0f, 0.0f, 0.0f},
                                 {{0, 0}, {0, 0}, {1, 1}}, 2, EmbeddingNorm::norms, 1.0f);
    // Two rows of norm 5: a norm of sqrt(50), over 2.
    CHECK(result.loss == Approx(std::sqrt(50.0) / 2.0));
    CHECK(result.d_users == std::vector<float>{0.0f, 0.0f});
    CHECK(result.d_items[0] == Approx(3.0 / std::sqrt(50.0)));
    CHECK(result.d_items[1] == Approx(4.0 / std::sqrt(50.0)));
    CHECK(result.d_items[2] == 0.0f);
    CHECK(result.d_items[3] == 0.0f);
  });
}

TEST_CASE("embedding_norm gives the same bits on any number of threads") {
  const std::vector<float> users = random_values(700 * 65, 1), items = random_values(500 * 65, 2);
  const Triples triples = random_triples(1000, 60, 500);
  for (const EmbeddingNorm norm : both) {
    check_same_bits([&](Backend& backend) {
      return run(backend, {700, 500, 65}, users, items, triples, 999, norm, 1.0f);
    });
  }
}

TEST_CASE("embedding_norm refuses an empty batch and other shapes") {
  CpuBackend backend(1);
  const Triples triples{{0, 0}, {0, 0}, {1, 1}};
  for (const std::int64_t count : {0, 3}) {
    CHECK_THROWS_AS(run(backend, {1, 2, 1}, {1.0f}, {1.0f, 2.0f}, triples, count, EmbeddingNorm::norms, 1.0f),
                    Error);
  }
  std::vector<float> values(20);
  std::vector<std::int32_t> indices(3);
  const StepState state{0, 0, 0, 1};
  float loss = 0.0f;
  const IndexView one(indices.data(), 1);
  const MatrixView users(values.data(), 2, 2), items(values.data(), 2, 3);
  CHECK_THROWS_AS(backend.embedding_norm(users, items, {one, one, one}, {indices, indices}, &state,
                                         EmbeddingNorm::norms, 1.0f, &loss, users, items, {}),
                  Error);
}
