#include "program/program.hpp"

#include <cmath>

#include "program/nodes.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

Initializer given(std::uint64_t seed) {
  return [seed](std::int64_t rows, std::int64_t columns, const InitialDraws&) {
    return random_values(rows * columns, seed);
  };
}

std::vector<double> values_of(Backend& backend, const ParameterView& parameter) {
  std::vector<float> values(static_cast<std::size_t>(parameter.size()));
  backend.copy_to_host(values.data(), parameter.value, values.size() * sizeof(float));
  return to_double(values);
}

std::vector<double> leaky(std::vector<double> x) {
  for (double& value : x) value = value > 0.0 ? value : 0.25 * value;
  return x;
}

/// -mean((a - b)^2)
double negative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum -= (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

constexpr std::int64_t rows = 6, width = 4;

/// A chain in which one activation is read by three operations, a loss among them, and one parameter by two:
/// h = leaky(P), g = h W^T + b, k = g W^T + b, L = 2 d(g, h) + 3 d(k, h), d the negative mean square
/// distance.
struct Chain {
  explicit Chain(Backend& backend) : program(backend, 1) {
    Arena& arena = program.arena("main", {});
    const Tensor p = program.parameter(arena, "p", rows, width, given(1));
    const Tensor w = program.parameter(arena, "w", width, width, given(2));
    const Tensor b = program.parameter(arena, "b", 1, width, given(3));
    const auto layers = [&](Tape& recorded, Tensor& hidden, Tensor& middle) {
      hidden = leaky_relu(recorded, p, 0.25f);
      middle = linear(recorded, hidden, w, b);
      return linear(recorded, middle, w, b);
    };
    tape = &program.tape("training", {&arena});
    Tensor g;
    output = layers(*tape, h, g);
    l2_distance(*tape, "first", 2.0f, g, h);
    l2_distance(*tape, "second", 3.0f, output, h);
    tape->keep(output);
    evaluation = &program.tape("evaluation", {});
    Tensor unused;
    evaluated = layers(*evaluation, unused, unused);
    evaluation->keep(evaluated);
    step = &program.step("step", {tape}, 1, 1);
    program.allocate();
  }

  static double loss(const std::vector<double>& p, const std::vector<double>& w,
                     const std::vector<double>& b) {
    const auto layer = [&](const std::vector<double>& x) {
      std::vector<double> y = naive_product(x, w, rows, width, width, false, true);
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += b[i % width];
      return y;
    };
    const std::vector<double> hidden = leaky(p), g = layer(hidden), k = layer(g);
    return 2.0 * negative_distance(g, hidden) + 3.0 * negative_distance(k, hidden);
  }

  Program program;
  Tape *tape, *evaluation;
  Step* step;
  Tensor h, output, evaluated;
};

}  // namespace

TEST_CASE("a program sums the gradients of everything that reads a tensor") {
  for_each_backend([](Backend& backend) {
    Chain chain(backend);
    const auto parameters = chain.program.parameters();
    const auto p = values_of(backend, parameters[0]), w = values_of(backend, parameters[1]),
               b = values_of(backend, parameters[2]);
    chain.tape->forward();
    chain.tape->backward();
    CHECK(relative_error(chain.program.download_gradient("p"),
                         central_differences([&](auto& v) { return Chain::loss(v, w, b); }, p)) < 1e-5);
    CHECK(relative_error(chain.program.download_gradient("w"),
                         central_differences([&](auto& v) { return Chain::loss(p, v, b); }, w)) < 1e-5);
    CHECK(relative_error(chain.program.download_gradient("b"),
                         central_differences([&](auto& v) { return Chain::loss(p, w, v); }, b)) < 1e-5);
    chain.tape->update();
    chain.step->finish();
    const std::vector<float> losses = chain.program.losses().download();
    CHECK(losses.back() == Approx(Chain::loss(p, w, b)).epsilon(1e-5));
    CHECK(losses.back() == Approx(2.0f * losses[0] + 3.0f * losses[1]).epsilon(1e-6));
    CHECK_THROWS_AS(chain.program.download_gradient("nobody"), Error);
  });
}

TEST_CASE("a program's memory is shared by liveness, and what is represented equals the forward") {
  for_each_backend([](Backend& backend) {
    Chain chain(backend);
    CHECK(chain.tape->activation_bytes() < chain.tape->unshared_activation_bytes());
    chain.tape->forward();
    std::vector<float> forward(rows * width), represented(rows * width);
    backend.copy_to_host(forward.data(), chain.program.value(chain.output).data,
                         forward.size() * sizeof(float));
    chain.evaluation->forward();
    backend.copy_to_host(represented.data(), chain.program.value(chain.evaluated).data,
                         represented.size() * sizeof(float));
    CHECK(forward == represented);
    const auto h = leaky(values_of(backend, chain.program.parameters()[0]));
    CHECK(std::isfinite(represented[0]));
    CHECK(h.size() == forward.size());
  });
}

TEST_CASE("a gradient that is read only in part is zero elsewhere") {
  for_each_backend([](Backend& backend) {
    Program program(backend, 1);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const Tensor p = program.parameter(arena, "p", rows, 2 * width, given(1));
    const Tensor h = leaky_relu(tape, p, 0.25f);
    l2_distance(tape, "distance", 1.0f, h.column_range(0, width).row_range(0, 3),
                h.column_range(width, width).row_range(0, 3));
    program.allocate();
    const auto start = values_of(backend, program.parameters()[0]);
    const auto loss = [&](const std::vector<double>& v) {
      const auto hidden = leaky(v);
      std::vector<double> a, b;
      for (std::int64_t i = 0; i < 3; ++i) {
        for (std::int64_t j = 0; j < width; ++j) {
          a.push_back(hidden[i * 2 * width + j]);
          b.push_back(hidden[i * 2 * width + width + j]);
        }
      }
      return negative_distance(a, b);
    };
    tape.forward();
    tape.backward();
    const std::vector<float> gradient = program.download_gradient("p");
    CHECK(relative_error(gradient, central_differences(loss, start)) < 1e-5);
    for (std::size_t i = 3 * 2 * width; i < gradient.size(); ++i) CHECK(gradient[i] == 0.0f);
  });
}

TEST_CASE("a program sums the gradients of what reads a tensor whole and what reads parts of it") {
  for_each_backend([](Backend& backend) {
    // The losses write the gradients of both parts of g and of a part of h; the backward adds the whole of h.
    Program program(backend, 1);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const Tensor p = program.parameter(arena, "p", rows, width, given(1));
    const Tensor h = leaky_relu(tape, p, 0.25f);
    const Tensor g = leaky_relu(tape, h, 0.25f);
    const Tensor top = g.row_range(0, rows / 2), bottom = g.row_range(rows / 2, rows / 2);
    l2_distance(tape, "parts", 1.0f, top, bottom);
    l2_distance(tape, "whole", 2.0f, g, h);
    l2_distance(tape, "part", 3.0f, top.column_range(1, 2), h.row_range(1, rows / 2).column_range(0, 2));
    program.allocate();
    const auto start = values_of(backend, program.parameters()[0]);
    const auto loss = [&](const std::vector<double>& v) {
      const auto hidden = leaky(v), last = leaky(hidden);
      const auto part = [](const std::vector<double>& x, std::int64_t first_row, std::int64_t first_column,
                           std::int64_t columns) {
        std::vector<double> values;
        for (std::int64_t i = first_row; i < first_row + rows / 2; ++i) {
          for (std::int64_t j = first_column; j < first_column + columns; ++j)
            values.push_back(x[i * width + j]);
        }
        return values;
      };
      return negative_distance(part(last, 0, 0, width), part(last, rows / 2, 0, width)) +
             2.0 * negative_distance(last, hidden) +
             3.0 * negative_distance(part(last, 0, 1, 2), part(hidden, 1, 0, 2));
    };
    tape.forward();
    tape.backward();
    CHECK(relative_error(program.download_gradient("p"), central_differences(loss, start)) < 1e-5);
  });
}

TEST_CASE("a program takes any recording order: a tensor read whole after parts of it") {
  for_each_backend([](Backend& backend) {
    // The losses write the gradients of the first four rows of g, and then of all of them.
    Program program(backend, 1);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const Tensor p = program.parameter(arena, "p", rows, width, given(1));
    const Tensor h = leaky_relu(tape, p, 0.25f);
    const Tensor g = leaky_relu(tape, h, 0.25f);
    l2_distance(tape, "part", 1.0f, g.row_range(0, 2), g.row_range(2, 2));
    l2_distance(tape, "whole", 2.0f, g, h);
    // The same of a parameter, whose gradient holds what the step before it left.
    const Tensor q = program.parameter(arena, "q", rows, width, given(2));
    l2_distance(tape, "part of q", 3.0f, q.row_range(1, 2), g.row_range(3, 2));
    l2_distance(tape, "whole q", 1.0f, q, h);
    program.allocate();
    const auto start = values_of(backend, program.parameters()[0]),
               other = values_of(backend, program.parameters()[1]);
    const auto rows_of = [](const std::vector<double>& x, std::int64_t first, std::int64_t count) {
      return std::vector<double>(x.begin() + first * width, x.begin() + (first + count) * width);
    };
    const auto loss = [&](const std::vector<double>& v, const std::vector<double>& w) {
      const auto hidden = leaky(v), last = leaky(hidden);
      return negative_distance(rows_of(last, 0, 2), rows_of(last, 2, 2)) +
             2.0 * negative_distance(last, hidden) +
             3.0 * negative_distance(rows_of(w, 1, 2), rows_of(last, 3, 2)) + negative_distance(w, hidden);
    };
    for (int pass = 0; pass < 2; ++pass) {
      tape.forward();
      tape.backward();
      CHECK(relative_error(program.download_gradient("p"),
                           central_differences([&](auto& v) { return loss(v, other); }, start)) < 1e-5);
      CHECK(relative_error(program.download_gradient("q"),
                           central_differences([&](auto& v) { return loss(start, v); }, other)) < 1e-5);
    }
  });
}

TEST_CASE("a program refuses initial values of another number than a parameter or a state has") {
  for_each_backend([](Backend& backend) {
    for (const std::int64_t count : {7, 9, 0}) {
      const Initializer initial = [count](std::int64_t, std::int64_t, const InitialDraws&) {
        return std::vector<float>(static_cast<std::size_t>(count));
      };
      const std::string expected = "program: " + std::to_string(count) + " initial values for p, which has 8";
      Program trained(backend, 1), kept(backend, 1);
      trained.parameter(trained.arena("main", {}), "p", 2, 4, initial);
      CHECK(error_of([&] { trained.allocate(); }) == expected);
      kept.state("p", 2, 4, initial);
      CHECK(error_of([&] { kept.allocate(); }) == expected);
    }
  });
}

TEST_CASE("propagation equals the sums and means of powers of the graph that are asked for, with gradients") {
  // Two nodes that read each other, one that reads both: not symmetric.
  const std::vector<std::int64_t> offsets{0, 1, 2, 4}, transposed_offsets{0, 2, 4, 4};
  const std::vector<std::int32_t> columns{1, 0, 0, 1}, transposed_columns{1, 2, 0, 2};
  const std::vector<float> graph_values{0.5f, 0.25f, 0.75f, -0.5f},
      transposed_values{0.25f, 0.75f, 0.5f, -0.5f};
  const std::vector<double> a{0, 0.5, 0, 0.25, 0, 0, 0.75, -0.5, 0};
  for_each_backend([&](Backend& backend) {
    const Buffer<std::int64_t> o = to_device(backend, offsets), to = to_device(backend, transposed_offsets);
    const Buffer<std::int32_t> c = to_device(backend, columns), tc = to_device(backend, transposed_columns);
    const Buffer<float> v = to_device(backend, graph_values), tv = to_device(backend, transposed_values);
    const CsrView graph{{3, 3, o.data(), c.data()}, v.data()},
        transposed{{3, 3, to.data(), tc.data()}, tv.data()};
    for (const Layers layers : {Layers::all, Layers::mean, Layers::residual, Layers::last}) {
      for (const std::int64_t count : {1, 2, 3, 4}) {
        Program program(backend, 1);
        Arena& arena = program.arena("main", {});
        Tape& tape = program.tape("training", {&arena});
        const Tensor p = program.parameter(arena, "p", 3, width, given(1)),
                     q = program.parameter(arena, "q", 3, width, given(2));
        const Tensor y = propagate(tape, graph, transposed, p, count, layers);
        tape.keep(y);
        l2_distance(tape, "distance", 1.0f, y, q);
        program.allocate();
        const auto start = values_of(backend, program.parameters()[0]);
        const auto target = values_of(backend, program.parameters()[1]);
        const auto naive = [&](const std::vector<double>& x) {
          std::vector<double> sum = x, power = x;
          for (std::int64_t layer = 1; layer <= count; ++layer) {
            power = naive_product(a, power, 3, 3, width);
            if (layers == Layers::residual && layer < count) continue;
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += power[i];
          }
          if (layers == Layers::last) return power;
          for (double& value : sum) value /= layers == Layers::mean ? static_cast<double>(count + 1) : 1.0;
          return sum;
        };
        tape.forward();
        std::vector<float> out(3 * width);
        backend.copy_to_host(out.data(), program.value(y).data, out.size() * sizeof(float));
        tape.backward();
        CHECK(relative_error(out, naive(start)) < 1e-6);
        const auto loss = [&](const std::vector<double>& x) { return negative_distance(naive(x), target); };
        CHECK(relative_error(program.download_gradient("p"), central_differences(loss, start)) < 1e-5);
      }
    }
  });
}

TEST_CASE("refine_layers equals LayerGCN's sum, with its gradient") {
  // A path of four nodes: symmetric, and its values differ.
  const std::vector<std::int64_t> offsets{0, 1, 3, 5, 6};
  const std::vector<std::int32_t> columns{1, 0, 2, 1, 3, 2};
  const std::vector<float> graph_values{0.5f, 0.5f, 0.25f, 0.25f, 0.75f, 0.75f};
  const std::vector<double> a{0, 0.5, 0, 0, 0.5, 0, 0.25, 0, 0, 0.25, 0, 0.75, 0, 0, 0.75, 0};
  for_each_backend([&](Backend& backend) {
    const Buffer<std::int64_t> o = to_device(backend, offsets);
    const Buffer<std::int32_t> c = to_device(backend, columns);
    const Buffer<float> v = to_device(backend, graph_values);
    const CsrView graph{{4, 4, o.data(), c.data()}, v.data()};
    for (const std::int64_t count : {1, 2, 4}) {
      Program program(backend, 1);
      Arena& arena = program.arena("main", {});
      Tape& tape = program.tape("training", {&arena});
      const Tensor p = program.parameter(arena, "p", 4, width, given(1)),
                   q = program.parameter(arena, "q", 4, width, given(2));
      const Tensor y = refine_layers(tape, graph, p, count);
      tape.keep(y);
      l2_distance(tape, "distance", 1.0f, y, q);
      program.allocate();
      const auto start = values_of(backend, program.parameters()[0]);
      const auto target = values_of(backend, program.parameters()[1]);
      const auto naive = [&](const std::vector<double>& x) {
        std::vector<double> sum(x.size()), layer = x;
        for (std::int64_t l = 0; l < count; ++l) {
          layer = naive_product(a, layer, 4, 4, width);
          for (std::size_t i = 0; i < 4; ++i) {
            double product = 0.0, layer_square = 0.0, square = 0.0;
            for (std::size_t j = i * width; j < (i + 1) * width; ++j) {
              product += layer[j] * x[j];
              layer_square += layer[j] * layer[j];
              square += x[j] * x[j];
            }
            for (std::size_t j = i * width; j < (i + 1) * width; ++j) {
              layer[j] *= product / std::sqrt(layer_square * square);
              sum[j] += layer[j];
            }
          }
        }
        return sum;
      };
      tape.forward();
      std::vector<float> out(4 * width);
      backend.copy_to_host(out.data(), program.value(y).data, out.size() * sizeof(float));
      tape.backward();
      CHECK(relative_error(out, naive(start)) < 1e-6);
      const auto loss = [&](const std::vector<double>& x) { return negative_distance(naive(x), target); };
      CHECK(relative_error(program.download_gradient("p"), central_differences(loss, start)) < 1e-5);
    }
  });
}
