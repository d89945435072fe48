// Several arenas, tapes and steps in one program, and what recording refuses.

#include <cmath>

#include "models/initial_values.hpp"
#include "program/nodes.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr std::int64_t rows = 6, width = 4;

std::vector<float> values_of(Backend& backend, const ParameterView& view) {
  std::vector<float> values(static_cast<std::size_t>(view.size()));
  backend.copy_to_host(values.data(), view.value, values.size() * sizeof(float));
  return values;
}

ArenaSettings at_rate(double learning_rate) {
  ArenaSettings settings;
  settings.learning_rate = learning_rate;
  return settings;
}

/// Two players: the follower moves f towards g, the leader moves g away from f. What the leader saw last is a
/// state, which the follower is drawn to as well.
struct Adversaries {
  explicit Adversaries(Backend& backend) : program(backend, 7) {
    Arena& follower = program.arena("follower", at_rate(0.05));
    Arena& leader = program.arena("leader", at_rate(0.02));
    const Tensor f = program.parameter(follower, "f", rows, width, xavier_normal());
    const Tensor g = program.parameter(leader, "g", rows, width, xavier_normal());
    seen = program.state("seen", rows, width, constant_value(0.25f));

    Tape& following = program.tape("following", {&follower});
    const Tensor h = leaky_relu(following, f, 0.25f);
    l2_distance(following, "distance", -1.0f, h, g);
    l2_distance(following, "memory", -0.5f, h, seen);
    Tape& leading = program.tape("leading", {&leader});
    const Tensor k = leaky_relu(leading, g, 0.25f);
    l2_distance(leading, "lead", 1.0f, k, f);
    copy(leading, k, seen);
    step = &program.step("step", {&following, &leading}, 10, 4);
    program.allocate();
  }

  std::vector<float> all() const {
    std::vector<float> values;
    for (const ParameterView& view : program.parameters()) {
      const std::vector<float> part = values_of(program.backend(), view);
      values.insert(values.end(), part.begin(), part.end());
    }
    const StateView state = program.states().front();
    std::vector<float> part(static_cast<std::size_t>(state.size()));
    program.backend().copy_to_host(part.data(), state.value, part.size() * sizeof(float));
    values.insert(values.end(), part.begin(), part.end());
    return values;
  }

  Program program;
  Step* step;
  Tensor seen;
};

std::vector<double> leaky(std::vector<double> x) {
  for (double& value : x) value = value > 0.0 ? value : 0.25 * value;
  return x;
}

/// The same game in double precision.
class Reference {
 public:
  explicit Reference(const Adversaries& game)
      : f(to_double(values_of(game.program.backend(), game.program.parameters()[0]))),
        g(to_double(values_of(game.program.backend(), game.program.parameters()[1]))),
        seen(rows * width, 0.25) {}

  void step(int t) {
    const auto n = static_cast<double>(rows * width);
    const std::vector<double> h = leaky(f);
    std::vector<double> df(f.size()), dg(g.size());
    for (std::size_t i = 0; i < f.size(); ++i) {
      // l2_distance is the negative mean square; a weight of -1 minimises the square.
      df[i] = 2.0 * (h[i] - g[i]) / n + 0.5 * 2.0 * (h[i] - seen[i]) / n;
      df[i] *= f[i] > 0.0 ? 1.0 : 0.25;
    }
    adam(f, df, first_f, second_f, 0.05, t);
    const std::vector<double> k = leaky(g);
    for (std::size_t i = 0; i < g.size(); ++i) dg[i] = -2.0 * (k[i] - f[i]) / n * (g[i] > 0.0 ? 1.0 : 0.25);
    seen = k;
    adam(g, dg, first_g, second_g, 0.02, t);
  }

  std::vector<double> f, g, seen;

 private:
  static void adam(std::vector<double>& x, const std::vector<double>& d, std::vector<double>& m,
                   std::vector<double>& v, double rate, int t) {
    m.resize(x.size());
    v.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      m[i] = 0.9 * m[i] + 0.1 * d[i];
      v[i] = 0.999 * v[i] + 0.001 * d[i] * d[i];
      x[i] -= rate * m[i] / (1.0 - std::pow(0.9, t)) / (std::sqrt(v[i] / (1.0 - std::pow(0.999, t))) + 1e-8);
    }
  }
  std::vector<double> first_f, second_f, first_g, second_g;
};

}  // namespace

TEST_CASE("two arenas, two tapes and a state: an adversarial pair trains as the algorithm says, captured too",
          "[tape]") {
  for_each_precision([](Backend& backend) {
    Adversaries game(backend), by_parts(backend);
    Reference reference(game);
    for (int t = 1; t <= 8; ++t) {
      game.step->run();
      by_parts.step->run_by_parts();
      reference.step(t);
    }
    CHECK(game.all() == by_parts.all());
    std::vector<double> expected = reference.f;
    expected.insert(expected.end(), reference.g.begin(), reference.g.end());
    expected.insert(expected.end(), reference.seen.begin(), reference.seen.end());
    CHECK(relative_error(game.all(), expected) < 1e-4);
    const StepState state = game.program.step_state().download().front();
    CHECK(state.step == 8);
    CHECK(state.epoch == 2);
    for (const Arena& arena : game.program.arenas()) CHECK(arena.download_state().step == 8);

    // Each tape writes its own terms; the total is that of both.
    const std::vector<float> losses = game.program.losses().download();
    CHECK(game.program.losses().names() == std::vector<std::string>{"distance", "memory", "lead", "total"});
    CHECK(losses[3] == Approx(-losses[0] - 0.5f * losses[1] + losses[2]).epsilon(1e-6));
  });
}

TEST_CASE("a program goes on from its arenas and states with the same bits", "[tape]") {
  for_each_precision([](Backend& backend) {
    Adversaries whole(backend), first(backend), second(backend);
    for (int i = 0; i < 7; ++i) whole.step->run();
    for (int i = 0; i < 3; ++i) first.step->run();
    const auto move = [&](const float* from, float* to, std::int64_t count) {
      std::vector<float> values(static_cast<std::size_t>(count));
      backend.copy_to_host(values.data(), from, values.size() * sizeof(float));
      backend.copy_to_device(to, values.data(), values.size() * sizeof(float));
    };
    for (std::size_t a = 0; a < first.program.arenas().size(); ++a) {
      const ParameterView from = first.program.arenas()[a].flat(), to = second.program.arenas()[a].flat();
      move(from.value, to.value, from.size());
      move(from.first_moment, to.first_moment, from.size());
      move(from.second_moment, to.second_moment, from.size());
      second.program.arenas()[a].upload_state(first.program.arenas()[a].download_state());
    }
    const StateView from = first.program.states()[0], to = second.program.states()[0];
    move(from.value, to.value, from.size());
    second.program.step_state().upload(first.program.step_state().download());
    for (int i = 3; i < 7; ++i) second.step->run();
    CHECK(second.all() == whole.all());
  });
}

TEST_CASE("a learning rate follows its schedule in a captured step", "[tape]") {
  for_each_precision([](Backend& backend) {
    Adversaries changed(backend), constant(backend);
    for (int i = 0; i < 3; ++i) {
      changed.step->run();
      constant.step->run();
    }
    CHECK(changed.all() == constant.all());
    const std::vector<float> before = values_of(backend, changed.program.parameters()[0]);
    changed.program.arenas()[0].set_learning_rate(0.005);
    changed.step->run();
    constant.step->run();
    const std::vector<float> slow = values_of(backend, changed.program.parameters()[0]),
                             fast = values_of(backend, constant.program.parameters()[0]);
    for (std::size_t i = 0; i < before.size(); ++i)
      CHECK(slow[i] - before[i] == Approx((fast[i] - before[i]) / 10.0f).margin(1e-6));
  });
}

TEST_CASE("an arena of a step without gradient moves on its moments alone", "[tape]") {
  for_each_precision([](Backend& backend) {
    Program program(backend, 3);
    Arena &moved = program.arena("moved", at_rate(0.1)), &resting = program.arena("resting", at_rate(0.1));
    const Tensor p = program.parameter(moved, "p", rows, width, xavier_normal());
    const Tensor q = program.parameter(resting, "q", rows, width, xavier_normal());
    Tape &both = program.tape("both", {&moved, &resting}), &one = program.tape("one", {&moved});
    l2_distance(both, "distance", -1.0f, p, q);
    l2_distance(one, "distance", -1.0f, p, q);
    l2_distance(one, "other", -1.0f, p.row_range(0, 1), p.row_range(1, 1));
    Step& first = program.step("first", {&both}, 4, 2);
    Step& rest = program.step("rest", {&one}, 4, 2, {&resting});
    program.allocate();
    first.run();
    CHECK(program.losses().download()[1] == 0.0f);  // a term that this step does not write
    const ParameterView view = program.parameters()[1];
    const std::vector<float> before = values_of(backend, view);
    std::vector<float> moment(static_cast<std::size_t>(view.size())), after_moment = moment;
    backend.copy_to_host(moment.data(), view.first_moment, moment.size() * sizeof(float));
    rest.run();
    backend.copy_to_host(after_moment.data(), view.first_moment, moment.size() * sizeof(float));
    const std::vector<float> after = values_of(backend, view);
    for (std::size_t i = 0; i < moment.size(); ++i) {
      CHECK(after_moment[i] == Approx(0.9f * moment[i]));
      CHECK(after[i] != before[i]);
    }
    CHECK(resting.download_state().step == 2);
    // What `both` left of p's gradient does not reach the steps of `one`, nor the other way round.
    const std::vector<float> gradient = program.download_gradient("p");
    first.run();
    rest.run();
    CHECK(program.download_gradient("p") != gradient);
  });
}

TEST_CASE("recording refuses what would go wrong in silence", "[tape]") {
  for_each_precision([](Backend& backend) {
    Program program(backend, 1);
    Arena& arena = program.arena("main", {});
    Tape &tape = program.tape("training", {&arena}), &other = program.tape("other", {});
    const Tensor p = program.parameter(arena, "p", rows, width, xavier_normal());
    const Tensor x = tape.activation(rows, width), y = tape.activation(rows, width);
    const Indices ids = program.indices(3);

    const auto message_of = [](const auto& body) -> std::string {
      try {
        body();
      } catch (const Error& error) {
        return error.what();
      }
      return "";
    };
    const auto mentions = [](const std::string& text, const std::string& part) {
      return text.find(part) != std::string::npos;
    };
    CHECK(mentions(message_of([&] { other.add({.name = "n", .inputs = {x}}); }),
                   "activation of the tape training"));
    CHECK(mentions(message_of([&] { tape.add({.name = "n", .outputs = {p}}); }),
                   "constant or a trained array"));
    CHECK(mentions(message_of([&] { tape.add({.name = "n", .inputs = {x.row_range(4, 3)}}); }),
                   "beyond its buffer"));
    CHECK(mentions(message_of([&] { tape.add({.name = "n", .updates = {p}}); }), "fused gradients"));
    CHECK(mentions(message_of([&] { program.parameter(arena, "p", rows, 2, xavier_normal()); }), "6 x 4"));
    CHECK(mentions(message_of([&] { program.arena("main", {}); }), "two arenas main"));
    CHECK(mentions(message_of([&] { program.step("s", {&tape}, 1, 1, {&arena}); }), "twice"));

    // What a node has not declared it does not see: an array, a part of one, indices.
    tape.add({.name = "reads y",
              .inputs = {p},
              .outputs = {x},
              .forward =
                  [=](const NodeRun& run) {
                    CHECK(mentions(message_of([&] { run.value(y); }),
                                   "reads y reads or writes a tensor in its forward"));
                    CHECK(
                        mentions(message_of([&] { run.indices(ids); }), "indices that it has not declared"));
                    run.backend().scale(1.0f, run.value(p), run.value(x));
                  },
              .backward =
                  [=](const NodeRun& run) {
                    // Not saved: its memory may hold something else by now.
                    CHECK(mentions(message_of([&] { run.value(x); }), "in its backward"));
                    CHECK(!run.value(p).empty());
                    run.backend().scale(1.0f, run.gradient(x), run.input_gradient(0));
                  }});
    l2_distance(tape, "distance", 1.0f, x, p);
    program.allocate();
    CHECK(mentions(message_of([&] { tape.activation(1, 1); }), "after allocate"));
    tape.forward();
    tape.backward();
  });
}
