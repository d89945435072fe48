#include <algorithm>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Expected {
  std::int64_t step, epoch, first, count;
};

void check_walk(std::int64_t pairs, std::int64_t batch_size, const std::vector<Expected>& expected) {
  for_each_backend([&](Backend& backend) {
    const Buffer<StepState> state =
        to_device(backend, std::vector<StepState>{{0, 0, 0, std::min(pairs, batch_size)}});
    for (const Expected& next : expected) {
      backend.advance_step(state.data(), pairs, batch_size, {});
      const StepState now = state.download().front();
      CHECK(now.step == next.step);
      CHECK(now.epoch == next.epoch);
      CHECK(now.first == next.first);
      CHECK(now.count == next.count);
    }
  });
}

}  // namespace

TEST_CASE("advance_step walks through epochs; the last batch is what is left") {
  check_walk(10, 4, {{1, 0, 4, 4}, {2, 0, 8, 2}, {3, 1, 0, 4}, {4, 1, 4, 4}, {5, 1, 8, 2}, {6, 2, 0, 4}});
}

TEST_CASE("advance_step with batches that fill the epoch exactly, or are larger than it") {
  check_walk(8, 4, {{1, 0, 4, 4}, {2, 1, 0, 4}, {3, 1, 4, 4}, {4, 2, 0, 4}});
  check_walk(5, 5, {{1, 1, 0, 5}, {2, 2, 0, 5}});
  check_walk(5, 2048, {{1, 1, 0, 5}, {2, 2, 0, 5}});
  check_walk(1, 1, {{1, 1, 0, 1}, {2, 2, 0, 1}});
}

TEST_CASE("advance_step counts an update of the optimizers that are named") {
  for_each_backend([](Backend& backend) {
    const Buffer<StepState> state = to_device(backend, std::vector<StepState>{{0, 0, 0, 4}});
    const Buffer<OptimizerState> optimizers =
        to_device(backend, std::vector<OptimizerState>{{5, 0.1}, {7, 0.2}, {9, 0.3}});
    const std::vector<OptimizerState*> named = {optimizers.data() + 2, optimizers.data()};
    backend.advance_step(state.data(), 10, 4, named);
    backend.advance_step(state.data(), 10, 4, {});
    const std::vector<OptimizerState> now = optimizers.download();
    CHECK(now[0].step == 6);
    CHECK(now[1].step == 7);
    CHECK(now[2].step == 10);
    CHECK(now[2].learning_rate == 0.3);
    CHECK(state.download().front().step == 2);
    const Buffer<OptimizerState> eight = to_device(backend, std::vector<OptimizerState>(8));
    std::vector<OptimizerState*> all;
    for (int i = 0; i < 8; ++i) all.push_back(eight.data() + i);
    backend.advance_step(state.data(), 10, 4, all);
    for (const OptimizerState& optimizer : eight.download()) CHECK(optimizer.step == 1);
    const std::vector<OptimizerState*> many(9, optimizers.data());
    CHECK_THROWS_AS(backend.advance_step(state.data(), 10, 4, many), Error);
  });
}

TEST_CASE("advance_step refuses no pairs and empty batches") {
  CpuBackend backend(1);
  StepState state;
  CHECK_THROWS_AS(backend.advance_step(&state, 0, 4, {}), Error);
  CHECK_THROWS_AS(backend.advance_step(&state, 4, 0, {}), Error);
}
