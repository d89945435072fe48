// What a step does side by side: waited for by whoever declares to read it, a race where somebody does not.

#include <cstdlib>

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

namespace {

/// Steps with work on all three streams that meets in sums, gradients and memory: values of the parameters
/// and losses after three of them.
std::vector<float> run_streams(bool captured) {
  constexpr std::int64_t rows = 40, width = 8;
  const std::unique_ptr<Backend> made = sea::test::backend_under_test();
  Backend& backend = *made;
  Program program(backend, 3);
  Arena& arena = program.arena("main", {});
  Tape& tape = program.tape("training", {&arena});
  const Tensor p = program.parameter(arena, "p", rows, width, xavier_normal());
  const Tensor q = program.parameter(arena, "q", rows, width, xavier_normal());
  const Tensor w = program.parameter(arena, "w", width, width, xavier_normal());
  const Tensor bias = program.parameter(arena, "bias", 1, width, constant_value(0.1f));
  const Tensor scale_of_a = program.parameter(arena, "scale", 1, width, constant_value(1.1f));
  const Tensor shift_of_a = program.parameter(arena, "shift", 1, width, constant_value(0.2f));
  Tensor a = p, b = q, c;
  // Chains of arrays that live shortly, on two streams; the products of both use their workspaces.
  for (int i = 0; i < 3; ++i) {
    a = leaky_relu(tape, linear(tape, a, w, bias), 0.3f);
    tape.on(Stream::beside, [&] { b = leaky_relu(tape, linear(tape, b, w, bias), 0.2f); });
  }
  // Forward on one stream, backward on another; both use a workspace.
  tape.on(Stream::beside, [&] {
    tape.on_in_forward(Stream::narrow, [&] { b = leaky_relu(tape, linear(tape, b, w, bias), 0.2f); });
  });
  tape.on_in_forward(Stream::beside, [&] { a = batch_norm(tape, a, scale_of_a, shift_of_a, false); });
  tape.on(Stream::narrow, [&] {
    c = scale(tape, 0.5f, p);
    l2_distance(tape, "early", 1.0f, c, q);
  });
  const Tensor both = add(tape, a, b);
  tape.on(Stream::beside, [&] { l2_distance(tape, "late", 0.5f, b, c); });
  l2_distance(tape, "sum", 2.0f, both, c);
  Step& step = program.step("step", {&tape}, 10, 4);
  program.allocate();
  std::vector<float> all;
  for (int i = 0; i < 3; ++i) {
    captured ? step.run() : step.run_by_parts();
    const std::vector<float> losses = program.losses().download();
    all.insert(all.end(), losses.begin(), losses.end());
  }
  for (const ParameterView& view : program.parameters()) {
    std::vector<float> values(static_cast<std::size_t>(view.size()));
    backend.copy_to_host(values.data(), view.value, values.size() * sizeof(float));
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

}  // namespace

TEST_CASE("a step on three streams does what it does on one, in every order that they allow", "[tape]") {
  REQUIRE(setenv("SEA_STREAMS", "0", 1) == 0);
  const std::vector<float> on_one = run_streams(false);
  REQUIRE(unsetenv("SEA_STREAMS") == 0);
  const bool captured = GENERATE(false, true);
  const auto results = results_of_schedules([=] { return run_streams(captured); });
  CHECK(results.size() == 1);
  CHECK(*results.begin() == on_one);
}

TEST_CASE("a stream waits for what was noted of another one, and for nothing else of it", "[tape]") {
  constexpr std::int64_t count = 64;
  const auto run = [](bool waits) {
    const std::unique_ptr<Backend> made = sea::test::backend_under_test();
    Backend& backend = *made;
    Buffer<float> x(backend, count), y(backend, count), z(backend, count);
    for (Buffer<float>* buffer : {&x, &y, &z}) buffer->upload(std::vector<float>(count, 1.0f));
    const auto twice = [&](const Buffer<float>& from, const Buffer<float>& to) {
      backend.scale(2.0f, from.matrix(1, count), to.matrix(1, count));
    };
    backend.fork();
    backend.on_stream(Stream::beside, [&] { twice(x, y); });
    backend.mark(Stream::beside, 0);
    if (waits) backend.wait(Stream::narrow, 0);
    backend.on_stream(Stream::narrow, [&] { twice(y, z); });
    backend.join();
    twice(z, x);
    return x.download();
  };
  CHECK(results_of_schedules([&] { return run(true); }) ==
        std::set<std::vector<float>>{std::vector<float>(count, 8.0f)});
  CHECK(results_of_schedules([&] { return run(false); }).size() > 1);
}
