// What lies in a backend's memory is checked on the CPU, which can read it: nothing is read or written
// outside of what the caller owns.

#include <functional>
#include <string>
#include <vector>

#include "sea/cpu.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/device_csr.hpp"
#include "support/files.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// Arguments that fit, of 4 users, 5 items and width 3, for a batch of 2; a test spoils one of them.
struct Fitting {
  CpuBackend backend{2};
  std::vector<float> users = std::vector<float>(12), items = std::vector<float>(15),
                     d_users = std::vector<float>(12), d_items = std::vector<float>(15),
                     values = std::vector<float>(8), results = std::vector<float>(64);
  std::vector<std::int32_t> batch_users{0, 3}, positives{1, 4}, negatives{0, 2};
  std::vector<std::int32_t> nodes = std::vector<std::int32_t>(6), sources = std::vector<std::int32_t>(6),
                            ids = std::vector<std::int32_t>(16);
  StepState state{0, 0, 0, 2};
  GarbageWorkspace workspace{backend, 1 << 20};
  float loss = 0.0f;

  BatchView batch() { return {batch_users, positives, negatives}; }
  BatchOrderView order() { return {nodes, sources}; }
  ConstMatrixView user_matrix() const { return {users.data(), 4, 3}; }
  ConstMatrixView item_matrix() const { return {items.data(), 5, 3}; }

  void sort() { backend.sort_batch(batch(), 4, &state, order(), workspace); }
  void bpr() {
    backend.bpr(user_matrix(), item_matrix(), batch(), order(), &state, BprSum::mean, 1.0f, &loss,
                {d_users.data(), 4, 3}, {d_items.data(), 5, 3}, workspace);
  }
  void embedding_norm() {
    backend.embedding_norm(user_matrix(), item_matrix(), batch(), order(), &state, EmbeddingNorm::norms, 1.0f,
                           &loss, {d_users.data(), 4, 3}, {d_items.data(), 5, 3}, workspace);
  }
};

}  // namespace

TEST_CASE("the CPU refuses a batch that names no row") {
  for (const bool bpr : {true, false}) {
    const std::string name = bpr ? "bpr: " : "embedding_norm: ";
    const auto refused = [&](const std::function<void(Fitting&)>& spoil) {
      Fitting f;
      f.sort();
      spoil(f);
      return error_of([&] { bpr ? f.bpr() : f.embedding_norm(); });
    };
    CHECK(refused([](Fitting&) {}).empty());
    CHECK(refused([](Fitting& f) { f.batch_users[1] = 4; }) ==
          name + "users[1] is 4 and must be from 0 to 3");
    CHECK(refused([](Fitting& f) { f.positives[0] = -1; }) ==
          name + "positives[0] is -1 and must be from 0 to 4");
    CHECK(refused([](Fitting& f) { f.negatives[1] = 5; }) ==
          name + "negatives[1] is 5 and must be from 0 to 4");
    // What lies behind the count is not looked at.
    CHECK(refused([](Fitting& f) {
            f.state.count = 1;
            f.sort();
            f.negatives[1] = 5;
          }).empty());
  }
  Fitting f;
  f.batch_users[0] = 4;
  CHECK(error_of([&] { f.sort(); }) == "sort_batch: users[0] is 4 and must be from 0 to 3");
  f.batch_users[0] = 0;
  f.positives[0] = -2;
  CHECK(error_of([&] { f.sort(); }) == "sort_batch: positives[0] is -2 and must be from 0 to 2147483643");
}

TEST_CASE("the CPU refuses indices that name no row") {
  Fitting f;
  const std::vector<std::int32_t> index{0, 4};
  CHECK(error_of([&] {
          f.backend.gather_rows(f.user_matrix(), index, nullptr, {f.results.data(), 2, 3});
        }) == "gather_rows: index[1] is 4 and must be from 0 to 3");
  const std::vector<std::int32_t> positives{0, 1, 5, 2};
  CHECK(error_of([&] {
          f.backend.contrastive(f.user_matrix(), f.item_matrix(), positives, {}, nullptr, 1.0f, &f.loss,
                                {f.d_users.data(), 4, 3}, {f.d_items.data(), 5, 3}, f.workspace);
        }) == "contrastive: positives[2] is 5 and must be from 0 to 4");
  for (const auto& [permutation, message] :
       {std::pair(std::vector<std::int32_t>{0, 1, 4, 2}, "club: permutation[2] is 4 and must be from 0 to 3"),
        {std::vector<std::int32_t>{0, 1, 1, 2}, "club: the permutation must name each row once"}}) {
    const VariationalNetworkView q{3, 1, {f.results.data(), 20}};
    CHECK(error_of([&] {
            f.backend.club(f.user_matrix(), f.user_matrix(), permutation, q, 1.0f, &f.loss,
                           {f.d_users.data(), 4, 3}, {f.d_items.data(), 4, 3}, f.workspace);
          }) == message);
  }
  const DeviceCsr square(f.backend, {{0, 1}, {1}}, 2);
  const std::vector<std::int32_t> permutation{0, 3, 2};
  CHECK(error_of([&] {
          f.backend.transpose_values(square.pattern(), permutation, {f.values.data(), 3},
                                     {f.results.data(), 3});
        }) == "transpose_values: permutation must name entries of values");
  CHECK(error_of([&] {
          f.backend.edge_normalize_backward(square.pattern(), square.pattern(), permutation,
                                            {f.values.data(), 3}, {f.values.data(), 2}, {f.values.data(), 3},
                                            {f.results.data(), 3}, f.workspace);
        }) == "edge_normalize_backward: the permutation must name entries of the pattern");
}

TEST_CASE("the CPU refuses histories and exclusions that do not ascend within their columns") {
  for (const std::vector<std::int32_t>& row :
       std::vector<std::vector<std::int32_t>>{{2, 0}, {1, 1}, {-1, 2}, {3, 5}, {600, 5}}) {
    Fitting f;
    const DeviceCsr pattern(f.backend, {{}, row, {}, {4}}, 5);
    const std::string message = " must ascend, without repetition, from 0 to at most 4";
    const VectorView scores(f.results.data(), 8);
    const IndexView ids(f.ids.data(), 8);
    CHECK(error_of([&] {
            f.backend.topk_dot(f.user_matrix(), f.item_matrix(), 2, pattern.pattern(), ids, scores,
                               f.workspace);
          }) == "topk_dot: row 1 of excluded" + message);
    const std::vector<float> keys(75);
    CHECK(error_of([&] {
            f.backend.rank_attentive(f.user_matrix(), {keys.data(), 5, 15}, 2, pattern.pattern(), ids, scores,
                                     f.workspace);
          }) == "rank_attentive: row 1 of excluded" + message);
    const std::vector<std::int32_t> users{0, 1};
    CHECK(error_of([&] {
            f.backend.history_rows(pattern.pattern(), users, false, &f.state, {f.results.data(), 2, 5});
          }) == "history_rows: row 1 of the history" + message);
  }
  Fitting f;
  const DeviceCsr history(f.backend, {{0}, {1}, {2}, {3}}, 5);
  const std::vector<std::int32_t> users{0, 4}, pair_items{0, 0}, candidates{0, 1, 2, 3, 4};
  CHECK(error_of([&] {
          f.backend.history_rows(history.pattern(), users, false, &f.state, {f.results.data(), 2, 5});
        }) == "history_rows: users[1] is 4 and must be from 0 to 3");
  CHECK(error_of([&] {
          f.backend.sample_batch({history.pattern(), users, pair_items, candidates}, 1, &f.state, f.batch());
        }) == "sample_batch: a pair's user must have a row in the history");
  CHECK(error_of([&] {
          f.backend.sample_user_batch({history.pattern(), users}, 1, &f.state, f.batch());
        }) == "sample_user_batch: a user to be drawn must have a row in the history");
}
