// What a step draws beside its forward: waited for by whoever declares to read it, a race where somebody does
// not.

#include "models/initial_values.hpp"
#include "program/nodes.hpp"
#include "simt/testing.hpp"
#include "support/backend_under_test.hpp"

using namespace sea;
using sea::simt::test::results_of_schedules;

namespace {

/// Steps whose node reads a permutation that is drawn beside it: declared, or behind the tape's back.
std::vector<std::int32_t> read_permutations(bool declared) {
  constexpr std::int64_t count = 599, width = 4;
  const std::unique_ptr<Backend> made = sea::test::backend_under_test();
  Backend& backend = *made;
  Program program(backend, 1);
  Arena& arena = program.arena("main", {});
  Tape& tape = program.tape("training", {&arena});
  const Tensor p = program.parameter(arena, "p", 2, width, xavier_normal());
  const Indices drawn = sample_permutation(tape, RandomPurpose::samples, count, count);
  const Indices read = program.indices(count);
  const IndexView raw = program.value(drawn);
  Node node{.name = "reader", .index_writes = {read}};
  if (declared) node.index_reads = {drawn};
  node.forward = [=](const NodeRun& run) {
    const IndexView from = declared ? run.indices(drawn) : raw;
    // As bits, through an operator of the main stream.
    const auto floats = [](IndexView ids) { return reinterpret_cast<float*>(ids.data()); };
    run.backend().scale(1.0f, {floats(from), 1, count}, {floats(run.indices(read)), 1, count});
  };
  tape.add(std::move(node));
  l2_distance(tape, "distance", 1.0f, p.row_range(0, 1), p.row_range(1, 1));
  Step& step = program.step("step", {&tape}, 10, 4);
  program.allocate();
  std::vector<std::int32_t> all, now(count);
  for (int i = 0; i < 3; ++i) {
    step.run();
    backend.copy_to_host(now.data(), program.value(read).data(), now.size() * sizeof(std::int32_t));
    all.insert(all.end(), now.begin(), now.end());
  }
  return all;
}

}  // namespace

TEST_CASE("a step waits for its draws where a node declares to read them", "[tape]") {
  CHECK(results_of_schedules([] { return read_permutations(true); }).size() == 1);
}

TEST_CASE("a node that reads draws behind the tape's back is seen to race", "[tape]") {
  CHECK(results_of_schedules([] { return read_permutations(false); }).size() > 1);
}
