// Nodes: each one's gradient, through a program, against central differences of a double-precision forward.

#include "program/nodes.hpp"

#include <cmath>
#include <functional>

#include "models/initial_values.hpp"
#include "sea/device_csr.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

using Values = std::vector<double>;

/// What a test records: a tensor, from the parameters p and q.
using Record = std::function<Tensor(Program& program, Tape& tape, Tensor p, Tensor q)>;
/// The same in double precision.
using Naive = std::function<Values(const Values& p, const Values& q)>;

struct Shape {
  std::int64_t rows, columns;
  std::int64_t size() const { return rows * columns; }
};

/// Records y = f(p, q) with the loss -mean((y - t)^2), t a constant; compares y, and the gradients of p and
/// q.
void check_node(Shape p_shape, Shape q_shape, const Record& record, const Naive& naive) {
  for_each_precision([&](Backend& backend) {
    const std::vector<float> p_values = random_values(p_shape.size(), 1),
                             q_values = random_values(q_shape.size(), 2);
    Program program(backend, 5);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const Tensor p = program.parameter(arena, "p", p_shape.rows, p_shape.columns, given_values(p_values));
    const Tensor q = program.parameter(arena, "q", q_shape.rows, q_shape.columns, given_values(q_values));
    const Tensor y = record(program, tape, p, q);
    const std::vector<float> t = random_values(y.size(), 3);
    const Buffer<float> target = to_device(backend, t);
    l2_distance(tape, "distance", 1.0f, y, program.constant(target.matrix(y.rows, y.columns)));
    tape.keep(y);
    program.allocate();
    tape.draw();
    tape.forward();
    std::vector<float> computed;
    for (std::int64_t i = 0; i < y.rows; ++i) {
      std::vector<float> row(static_cast<std::size_t>(y.columns));
      backend.copy_to_host(row.data(), program.value(y).row(i), row.size() * sizeof(float));
      computed.insert(computed.end(), row.begin(), row.end());
    }
    const Values start_p = to_double(p_values), start_q = to_double(q_values);
    CHECK(relative_error(computed, naive(start_p, start_q)) < 1e-5);
    tape.backward();
    const auto loss = [&](const Values& v, const Values& w) {
      const Values value = naive(v, w);
      double sum = 0.0;
      for (std::size_t i = 0; i < value.size(); ++i) sum -= (value[i] - t[i]) * (value[i] - t[i]);
      return sum / static_cast<double>(value.size());
    };
    CHECK(relative_error(program.download_gradient("p"),
                         central_differences([&](auto& v) { return loss(v, start_q); }, start_p)) < 1e-4);
    CHECK(relative_error(program.download_gradient("q"),
                         central_differences([&](auto& v) { return loss(start_p, v); }, start_q)) < 1e-4);
  });
}

Values elementwise(const Values& a, const Values& b, const std::function<double(double, double)>& f) {
  Values y(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) y[i] = f(a[i], b[i % b.size()]);
  return y;
}

/// Three nodes, not symmetric; its transposed pattern, and which entry each of that one's is.
struct Graph {
  explicit Graph(Backend& backend)
      : offsets(to_device(backend, std::vector<std::int64_t>{0, 2, 3, 5})),
        transposed_offsets(to_device(backend, std::vector<std::int64_t>{0, 2, 4, 5})),
        columns(to_device(backend, std::vector<std::int32_t>{0, 1, 2, 0, 1})),
        transposed_columns(to_device(backend, std::vector<std::int32_t>{0, 2, 0, 2, 1})),
        permutation(to_device(backend, std::vector<std::int32_t>{0, 3, 1, 4, 2})) {}
  /// Room for seven entries, of which five are there.
  LearnedPattern view() const {
    return {{3, 3, offsets.data(), columns.data()},
            {3, 3, transposed_offsets.data(), transposed_columns.data()},
            permutation.span(),
            7};
  }
  Buffer<std::int64_t> offsets, transposed_offsets;
  Buffer<std::int32_t> columns, transposed_columns, permutation;
};
constexpr int entry_rows[] = {0, 0, 1, 2, 2}, entry_columns[] = {0, 1, 2, 0, 1};

}  // namespace

TEST_CASE("nodes: matmul in all four layouts", "[nodes]") {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const Shape a = ta ? Shape{5, 4} : Shape{4, 5}, b = tb ? Shape{3, 5} : Shape{5, 3};
      check_node(
          a, b,
          [=](Program&, Tape& tape, Tensor p, Tensor q) {
            return matmul(tape, ta ? Transpose::yes : Transpose::no, tb ? Transpose::yes : Transpose::no, p,
                          q);
          },
          [=](const Values& p, const Values& q) { return naive_product(p, q, 4, 5, 3, ta, tb); });
    }
  }
}

TEST_CASE("nodes: multiply, also of a matrix by itself, scale, add, activations and softmax", "[nodes]") {
  const Shape shape{4, 6};
  check_node(
      shape, shape,
      [](Program&, Tape& tape, Tensor p, Tensor q) {
        return add(tape, multiply(tape, p, q), scale(tape, 0.5f, multiply(tape, p, p)));
      },
      [](const Values& p, const Values& q) {
        return elementwise(p, q, [](double a, double b) { return a * b + 0.5 * a * a; });
      });
  check_node(
      shape, shape,
      [](Program&, Tape& tape, Tensor p, Tensor q) {
        return multiply(tape, activate(tape, Activation::sigmoid, p), activate(tape, Activation::tanh, q));
      },
      [](const Values& p, const Values& q) {
        return elementwise(p, q,
                           [](double a, double b) { return 1.0 / (1.0 + std::exp(-a)) * std::tanh(b); });
      });
  check_node(
      shape, shape,
      [](Program&, Tape& tape, Tensor p, Tensor q) { return add(tape, softmax(tape, p, 2.0f), q); },
      [](const Values& p, const Values& q) {
        Values y = q;
        for (std::size_t i = 0; i < 4; ++i) {
          double sum = 0.0;
          for (std::size_t j = 0; j < 6; ++j) sum += std::exp(2.0 * p[i * 6 + j]);
          for (std::size_t j = 0; j < 6; ++j) y[i * 6 + j] += std::exp(2.0 * p[i * 6 + j]) / sum;
        }
        return y;
      });
}

TEST_CASE("nodes: dropout multiplies by its mask, forward and backward", "[nodes]") {
  for_each_precision([](Backend& backend) {
    Program program(backend, 5);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const Tensor p = program.parameter(arena, "p", 40, 6, constant_value(1.0f));
    const Tensor y = dropout(tape, p, 0.25f, 3);
    l2_distance(tape, "distance", -1.0f, y, program.parameter(arena, "q", 40, 6, constant_value(0.0f)));
    tape.keep(y);
    program.step("step", {&tape}, 10, 10);
    program.allocate();
    tape.draw();
    tape.forward();
    std::vector<float> values(240);
    backend.copy_to_host(values.data(), program.value(y).data, values.size() * sizeof(float));
    tape.backward();
    const std::vector<float> gradient = program.download_gradient("p");
    int dropped = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      dropped += values[i] == 0.0f;
      CHECK((values[i] == 0.0f || values[i] == Approx(4.0f / 3.0f)));
      CHECK(gradient[i] == Approx(2.0 / 240.0 * values[i] * values[i]).margin(1e-9));
    }
    CHECK(dropped > 30);
    CHECK(dropped < 90);
  });
}

TEST_CASE("nodes: gather_rows of a batch, whose last rows are not there", "[nodes]") {
  // Users 1, 0, 1 and items 2, 2, 0 (as positives), of a batch with room for four.
  const std::vector<std::int32_t> users = {1, 0, 1, 7}, items = {2, 2, 0, 7}, negatives = {1, 1, 1, 7};
  for_each_precision([&](Backend& backend) {
    Program program(backend, 5);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const Tensor p = program.parameter(arena, "p", 5, 3, xavier_normal());  // two users above three items
    const Batch batch = make_batch(program, 4);
    sort_batch(tape, batch, 2);
    const Tensor u = gather_rows(tape, p.row_range(0, 2), batch, BatchRole::user);
    const Tensor i = gather_rows(tape, p.row_range(2, 3), batch, BatchRole::positive, 2);
    matrix_norm(tape, "norm", 1.0f, multiply(tape, u, i), MatrixNorm::half_squares, 1.0, true);
    program.allocate();
    const auto upload = [&](const Indices& to, const std::vector<std::int32_t>& from) {
      backend.copy_to_device(program.value(to).data(), from.data(), from.size() * sizeof(std::int32_t));
    };
    upload(batch.users, users);
    upload(batch.positives, items);
    upload(batch.negatives, negatives);
    const StepState state{0, 0, 0, 3};
    program.step_state().upload({&state, 1});
    std::vector<float> start(15);
    backend.copy_to_host(start.data(), program.value(p).data, 15 * sizeof(float));
    tape.forward();
    tape.backward();
    const auto loss = [&](const Values& v) {
      double sum = 0.0;
      for (std::size_t b = 0; b < 3; ++b) {
        for (std::size_t j = 0; j < 3; ++j)
          sum += std::pow(v[users[b] * 3 + j] * v[(2 + items[b]) * 3 + j], 2) / 2.0;
      }
      return sum;
    };
    CHECK(relative_error(program.download_gradient("p"), central_differences(loss, to_double(start))) < 1e-4);
  });
}

TEST_CASE("nodes: a loss of gathered triples is that of the tables, gradients too", "[nodes]") {
  // Of a batch with room for four; the third user and the third negative are others' too.
  const std::vector<std::int32_t> users = {1, 0, 1, 7}, items = {2, 2, 0, 7}, negatives = {1, 0, 1, 7};
  for_each_precision([&](Backend& backend) {
    for (const std::int64_t count : {3, 4}) {
      const auto gradient = [&](bool gathered) {
        Program program(backend, 5);
        Arena& arena = program.arena("main", {});
        Tape& tape = program.tape("training", {&arena});
        const Tensor p = program.parameter(arena, "p", 5, 3, xavier_normal());  // two users above three items
        const Batch batch = make_batch(program, 4);
        sort_batch(tape, batch, 2);
        if (gathered) {
          const Tensor rows = gather_triples(tape, p, 2, batch);
          bpr(tape, "bpr", 1.0f, BprSum::mean, rows.row_range(0, 4), rows.row_range(4, 8),
              gathered_triples(tape, 4));
        } else {
          bpr(tape, "bpr", 1.0f, BprSum::mean, p.row_range(0, 2), p.row_range(2, 3), batch);
        }
        program.allocate();
        for (const auto& [to, from] :
             {std::pair(batch.users, users), {batch.positives, items}, {batch.negatives, negatives}}) {
          std::vector<std::int32_t> list = from;
          if (count == 4) list.back() = 0;
          backend.copy_to_device(program.value(to).data(), list.data(), list.size() * sizeof(std::int32_t));
        }
        const StepState state{0, 0, 0, count};
        program.step_state().upload({&state, 1});
        tape.forward();
        tape.backward();
        program.losses().accumulate(backend);
        std::vector<float> all = program.download_gradient("p");
        all.push_back(program.losses().download().back());
        return all;
      };
      const std::vector<float> of_tables = gradient(false);
      CHECK(of_tables.front() != 0.0f);
      CHECK(relative_error(gradient(true), to_double(of_tables)) < 1e-6);
    }
  });
}

TEST_CASE("nodes: a learned graph, from two embeddings to what it propagates", "[nodes]") {
  std::vector<float> mask = {1.0f, 0.5f, 2.0f, 1.0f, 1.0f, 0.0f, 0.0f};
  for_each_precision([&](Backend& backend) {
    const Graph graph(backend);
    const Buffer<float> masks = to_device(backend, mask);
    Program program(backend, 5);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    // All positive: row sums are.
    std::vector<float> values = random_values(12, 1);
    for (float& value : values) value = 1.5f + value;
    const Tensor p = program.parameter(arena, "p", 3, 4, given_values(values));
    const Tensor q = program.parameter(arena, "q", 3, 2, given_values(random_values(6, 2)));
    const LearnedPattern pattern = graph.view();
    const Tensor weights =
        edge_normalize(tape, pattern, sddmm(tape, pattern, program.constant(masks.matrix(1, 7)), p, p));
    const Tensor y = spmm(tape, pattern, weights, spmm(tape, pattern, weights, q));
    matrix_norm(tape, "norm", 1.0f, y, MatrixNorm::half_squares, 1.0, false);
    program.allocate();
    tape.forward();
    tape.backward();
    const auto loss = [&](const Values& v, const Values& w) {
      Values edge(5), row_sum(3);
      for (int e = 0; e < 5; ++e) {
        for (int j = 0; j < 4; ++j)
          edge[e] += mask[e] * v[entry_rows[e] * 4 + j] * v[entry_columns[e] * 4 + j];
        row_sum[entry_rows[e]] += edge[e];
      }
      const auto apply = [&](const Values& x) {
        Values out(6);
        for (int e = 0; e < 5; ++e) {
          const double s = edge[e] / std::sqrt(row_sum[entry_rows[e]] * row_sum[entry_columns[e]]);
          for (int j = 0; j < 2; ++j) out[entry_rows[e] * 2 + j] += s * x[entry_columns[e] * 2 + j];
        }
        return out;
      };
      double sum = 0.0;
      for (const double value : apply(apply(w))) sum += value * value / 2.0;
      return sum;
    };
    const Values start_p = to_double(values), start_q = to_double(random_values(6, 2));
    CHECK(relative_error(program.download_gradient("p"),
                         central_differences([&](auto& v) { return loss(v, start_q); }, start_p)) < 1e-4);
    CHECK(relative_error(program.download_gradient("q"),
                         central_differences([&](auto& v) { return loss(start_p, v); }, start_q)) < 1e-4);
  });
}

TEST_CASE("nodes: a constant graph that is not square, into a part of a larger array", "[nodes]") {
  // Two rows above three: the first two entries, and the last two, of the graph below.
  for_each_precision([](Backend& backend) {
    const DeviceCsr graph(backend, 2, 3, std::vector<std::int64_t>{0, 2, 3},
                          std::vector<std::int32_t>{0, 2, 1}, std::vector<float>{0.5f, -2.0f, 3.0f}),
        transposed(backend, 3, 2, std::vector<std::int64_t>{0, 1, 2, 3}, std::vector<std::int32_t>{0, 1, 0},
                   std::vector<float>{0.5f, 3.0f, -2.0f});
    Program program(backend, 5);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const std::vector<float> x = random_values(12, 1);
    const Tensor p = program.parameter(arena, "p", 3, 4, given_values(x));
    const Tensor all = tape.activation(5, 4);
    spmm(tape, graph.view(), transposed.view(), p, all.row_range(0, 2));
    copy(tape, p, all.row_range(2, 3));
    const Tensor again = spmm(tape, graph.view(), transposed.view(), all.row_range(2, 3));
    matrix_norm(tape, "all", 1.0f, all, MatrixNorm::half_squares, 1.0, false);
    matrix_norm(tape, "again", 2.0f, again, MatrixNorm::half_squares, 1.0, false);
    program.allocate();
    tape.forward();
    tape.backward();
    const auto loss = [&](const Values& v) {
      double sum = 0.0;
      for (int j = 0; j < 4; ++j) {
        const double first = 0.5 * v[j] - 2.0 * v[8 + j], second = 3.0 * v[4 + j];
        sum += 3.0 * (first * first + second * second) / 2.0;
      }
      for (const double value : v) sum += value * value / 2.0;
      return sum;
    };
    const Values start = to_double(x);
    CHECK(std::abs(program.losses().download()[0] + 2.0 * program.losses().download()[1] - loss(start)) <
          1e-4);
    CHECK(relative_error(program.download_gradient("p"), central_differences(loss, start)) < 1e-4);
  });
}

TEST_CASE("nodes: layers of an arena that a tape does not move pass the gradient on", "[nodes]") {
  for_each_precision([](Backend& backend) {
    const auto gradient_of = [&](bool frozen) {
      Program program(backend, 5);
      Arena &arena = program.arena("main", {}), &other = program.arena("other", {});
      Tape& tape = program.tape("training",
                                frozen ? std::vector<Arena*>{&arena} : std::vector<Arena*>{&arena, &other});
      const Tensor p = program.parameter(arena, "p", 7, 4, given_values(random_values(28, 1)));
      const Tensor w = program.parameter(other, "w", 6, 4, given_values(random_values(24, 2)));
      const Tensor b = program.parameter(other, "b", 1, 6, given_values(random_values(6, 3)));
      const Tensor scale = program.parameter(other, "scale", 1, 6, given_values(random_values(6, 4)));
      const Tensor shift = program.parameter(other, "shift", 1, 6, given_values(random_values(6, 5)));
      const Tensor target = program.parameter(other, "target", 7, 6, given_values(random_values(42, 6)));
      l2_distance(tape, "distance", 1.0f, batch_norm(tape, linear(tape, p, w, b), scale, shift, true),
                  target);
      program.allocate();
      tape.forward();
      tape.backward();
      if (frozen) CHECK(program.download_gradient("w") == std::vector<float>(24));
      return program.download_gradient("p");
    };
    const std::vector<float> frozen = gradient_of(true);
    CHECK(relative_error(frozen, to_double(gradient_of(false))) < 1e-5);
    CHECK(frozen != std::vector<float>(28));
  });
}

TEST_CASE("nodes: no gradient flows into what a node reads as a constant", "[nodes]") {
  for_each_precision([](Backend& backend) {
    Program program(backend, 5);
    Arena& arena = program.arena("main", {});
    Tape& tape = program.tape("training", {&arena});
    const Tensor p = program.parameter(arena, "p", 3, 4, given_values(random_values(12, 1)));
    const Tensor q = program.parameter(arena, "q", 3, 4, given_values(random_values(12, 2)));
    cosine_loss(tape, "cosine", 1.0f, leaky_relu(tape, p, 0.5f), leaky_relu(tape, q, 0.5f));
    program.allocate();
    const StepState state{0, 0, 0, 3};
    program.step_state().upload({&state, 1});
    tape.forward();
    tape.backward();
    const auto loss = [](const Values& v) {
      double sum = 0.0;
      const std::vector<float> other = random_values(12, 2);
      for (std::size_t i = 0; i < 3; ++i) {
        double product = 0.0, a2 = 0.0, b2 = 0.0;
        for (std::size_t j = i * 4; j < i * 4 + 4; ++j) {
          const double a = v[j] > 0 ? v[j] : 0.5 * v[j], b = other[j] > 0 ? other[j] : 0.5 * other[j];
          product += a * b;
          a2 += a * a;
          b2 += b * b;
        }
        sum += product / std::sqrt(a2 * b2) / 3.0;
      }
      return 1.0 - sum;
    };
    CHECK(relative_error(program.download_gradient("p"),
                         central_differences(loss, to_double(random_values(12, 1)))) < 1e-4);
    const std::vector<float> none = program.download_gradient("q");
    CHECK(none == std::vector<float>(12));
  });
}

TEST_CASE("nodes: row_dot of three blocks", "[nodes]") {
  check_node(
      {4, 6}, {4, 18}, [](Program&, Tape& tape, Tensor p, Tensor q) { return row_dot(tape, p, q); },
      [](const Values& p, const Values& q) {
        Values y(12);
        for (std::size_t i = 0; i < 12; ++i) {
          for (std::size_t j = 0; j < 6; ++j) y[i] += p[i / 3 * 6 + j] * q[i * 6 + j];
        }
        return y;
      });
}

TEST_CASE("nodes: batch_norm's gradient as a value, and its own gradient", "[nodes]") {
  // X = p, dY = q, whose BatchNorm is written into a part of a larger array beside it.
  const std::vector<float> scales = {0.7f, -1.3f, 2.0f};
  check_node(
      {6, 3}, {6, 3},
      [&](Program& program, Tape& tape, Tensor p, Tensor q) {
        Arena& arena = *tape.moves().front();
        const Tensor scale = program.parameter(arena, "scale", 1, 3, given_values(scales)),
                     shift = program.parameter(arena, "shift", 1, 3, constant_value(0.5f));
        const Tensor both = tape.activation(12, 3);
        const ColumnStatistics statistics = batch_norm(tape, p, scale, shift, both.row_range(0, 6));
        copy(tape, batch_norm_gradient(tape, p, q, scale, statistics), both.row_range(6, 6));
        return both;
      },
      [&](const Values& p, const Values& q) {
        Values y(36);
        for (std::size_t j = 0; j < 3; ++j) {
          double mean = 0.0, square = 0.0, mean_dy = 0.0, mean_product = 0.0;
          for (std::size_t i = 0; i < 6; ++i) mean += p[i * 3 + j] / 6.0;
          for (std::size_t i = 0; i < 6; ++i) square += std::pow(p[i * 3 + j] - mean, 2) / 6.0;
          const double inverse = 1.0 / std::sqrt(square + 1e-5), scale = scales[j];
          const auto normal = [&](std::size_t i) { return (p[i * 3 + j] - mean) * inverse; };
          for (std::size_t i = 0; i < 6; ++i) {
            mean_dy += q[i * 3 + j] / 6.0;
            mean_product += q[i * 3 + j] * normal(i) / 6.0;
          }
          for (std::size_t i = 0; i < 6; ++i) {
            y[i * 3 + j] = scale * normal(i) + 0.5;
            y[18 + i * 3 + j] = scale * inverse * (q[i * 3 + j] - mean_dy - normal(i) * mean_product);
          }
        }
        return y;
      });
}
