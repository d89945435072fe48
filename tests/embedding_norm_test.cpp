#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/batch_loss.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr EmbeddingNorm both[] = {EmbeddingNorm::norms, EmbeddingNorm::half_squares};

Operator embedding_norm(const BatchCase& c, EmbeddingNorm norm) {
  constexpr float weight = 0.7f;
  // The loss and its gradients: each role's rows, times what the role's norm says.
  const auto terms = [=](const Values& in) {
    Values results{{0.0}, std::vector<double>(in[0].size()), std::vector<double>(in[1].size())};
    for (const auto& [index, table] :
         {std::pair{&c.triples.users, 0}, {&c.triples.positives, 1}, {&c.triples.negatives, 1}}) {
      double square = 0.0;
      for (std::int64_t i = 0; i < c.count; ++i) {
        for (std::int64_t j = 0; j < c.width; ++j)
          square += std::pow(in[table][(*index)[i] * c.width + j], 2);
      }
      const auto count = static_cast<double>(c.count);
      const bool norms = norm == EmbeddingNorm::norms;
      results[0][0] += norms ? std::sqrt(square) / count : square / 2.0;
      const double factor = !norms ? 1.0 : square == 0.0 ? 0.0 : 1.0 / (std::sqrt(square) * count);
      for (std::int64_t i = 0; i < c.count; ++i) {
        for (std::int64_t j = 0; j < c.width; ++j) {
          const auto at = static_cast<std::size_t>((*index)[i] * c.width + j);
          results[1 + table][at] += static_cast<double>(weight) * factor * in[table][at];
        }
      }
    }
    return results;
  };
  const BatchRun run = [norm](Backend& backend, const Views& in, const DeviceTriples& device,
                              const Views& out) {
    const auto batch_size = static_cast<std::int64_t>(device.batch().users.size());
    const GarbageWorkspace workspace(backend, backend.embedding_norm_workspace(batch_size));
    backend.embedding_norm(in[0], in[1], device.batch(), device.order(), device.state(), norm, weight,
                           out[0].data, out[1], out[2], workspace);
  };
  Operator described = batch_loss(
      c, weight, [=](const Values& in) { return terms(in)[0][0]; }, run, terms);
  if (c.width * (c.users + c.items) > 600) described.differences = nullptr;
  return described;
}

}  // namespace

TEST_CASE("embedding_norm equals the sum over triples, its gradients central differences") {
  for (const EmbeddingNorm norm : both) {
    check_operator(embedding_norm(batch_case(1, 2, 1, 1, 1), norm));
    check_operator(embedding_norm(batch_case(9, 7, 5, 60, 60), norm));
    check_operator(embedding_norm(batch_case(10, 8, 8, 31, 20), norm));
    // More columns than a warp takes at once, more triples than a block, more rows than all warps.
    check_outputs(embedding_norm(batch_case(12, 20, 33, 15, 15), norm));
    check_outputs(embedding_norm(batch_case(12, 20, 132, 300, 290), norm));
    check_outputs(embedding_norm(batch_case(90, 200, 4, 40, 33), norm));
    check_outputs(embedding_norm(batch_case(60, 90, 132, 10, 10), norm));
  }
}

TEST_CASE("embedding_norm: rows outside the batch have the gradient 0, and so has a norm of 0") {
  for_each_backend([](Backend& backend) {
    BatchCase c{2, 3, 2, {{0, 0}, {0, 0}, {1, 1}}, 2};
    c.user_values = {0.0f, 0.0f, 1.0f, 1.0f};
    c.item_values = {3.0f, 4.0f, 0.0f, 0.0f, 5.0f, 5.0f};
    const auto result = run_operator(backend, embedding_norm(c, EmbeddingNorm::norms));
    // Two rows of norm 5: a norm of sqrt(50), over 2.
    CHECK(result[0][0] == Approx(std::sqrt(50.0) / 2.0));
    CHECK(result[1] == std::vector<float>(4, 0.0f));
    CHECK(result[2][0] == Approx(0.7 * 3.0 / std::sqrt(50.0)));
    CHECK(result[2][1] == Approx(0.7 * 4.0 / std::sqrt(50.0)));
    for (const std::size_t i : {2, 3, 4, 5}) CHECK(result[2][i] == 0.0f);
  });
}

TEST_CASE("embedding_norm: squares beyond float, and what is no number") {
  BatchCase c{1, 2, 4, {{0}, {0}, {1}}, 1};
  c.user_values = {2e19f, 1.0f, 1e19f, 2e19f};
  Operator large = embedding_norm(c, EmbeddingNorm::norms);
  large.differences = nullptr;
  check_outputs(large);
  for_each_backend([&](Backend& backend) {
    for (const EmbeddingNorm norm : both) {
      c.user_values[1] = std::nanf("");
      CHECK(std::isnan(run_operator(backend, embedding_norm(c, norm))[0][0]));
    }
  });
}

TEST_CASE("embedding_norm gives the same bits on any number of threads") {
  for (const EmbeddingNorm norm : both)
    check_threads(embedding_norm(batch_case(700, 500, 65, 1000, 999), norm));
}

TEST_CASE("embedding_norm refuses an empty batch and other shapes") {
  check_refuses(embedding_norm(batch_case(3, 4, 2, 5, 5), EmbeddingNorm::norms), {2});  // but the loss
  CpuBackend backend(1);
  for (const std::int64_t count : {0, 3}) {
    BatchCase c{1, 2, 1, {{0, 0}, {0, 0}, {1, 1}}, count};
    CHECK_THROWS_AS(run_operator(backend, embedding_norm(c, EmbeddingNorm::norms)), Error);
  }
}
