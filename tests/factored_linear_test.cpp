#include <cmath>

#include "support/operator_check.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// A wide layer and what reads it: outputs and the range of columns of each head.
struct Shape {
  std::int64_t n, width, in;
  struct HeadShape {
    std::int64_t out, first_column, columns;
  };
  std::vector<HeadShape> heads;

  std::int64_t out() const {
    std::int64_t sum = 0;
    for (const HeadShape& head : heads) sum += head.out;
    return sum;
  }
};

std::vector<Shape> shapes() {
  return {{1, 1, 1, {{1, 0, 1}}},
          {5, 4, 3, {{2, 0, 2}, {3, 0, 4}, {1, 2, 2}}},
          {9, 7, 6, {{2, 1, 3}, {1, 5, 1}}},  // columns that nobody reads
          {3, 140, 8, {{4, 0, 60}}},          // and whole tiles of them
          {700, 300, 70, {{20, 0, 150}, {9, 0, 150}, {40, 0, 300}, {9, 150, 150}}}};
}

/// Everything an operator call needs, on a backend.
struct Case {
  Case(Backend& backend, const Shape& shape)
      : x(backend, shape.n, shape.in, 2, 1),
        weight(backend, shape.width, shape.in, 2, 2),
        bias(backend, 1, shape.width, 0, 3),
        dy(backend, shape.n, shape.out(), 1, 4),
        m(TestMatrix::output(backend, shape.out(), shape.in, 1)),
        dm(TestMatrix::output(backend, shape.out(), shape.in, 3)),
        y(TestMatrix::output(backend, shape.n, shape.out(), 3)),
        dbias(TestMatrix::output(backend, 1, shape.width, 0)),
        workspace(backend, backend.factored_linear_workspace(shape.n, shape.width, shape.in, shape.out())) {
    std::uint64_t seed = 10;
    for (const Shape::HeadShape& head : shape.heads) {
      weights.emplace_back(backend, head.out, head.columns, 3, seed++);
      biases.emplace_back(backend, 1, head.out, 0, seed++);
      dweights.push_back(TestMatrix::output(backend, head.out, head.columns, 1));
      dbiases.push_back(TestMatrix::output(backend, 1, head.out, 0));
      heads.push_back({weights.back().view(), biases.back().vector(), head.first_column});
      gradients.push_back({dweights.back().view(), dbiases.back().vector()});
    }
  }

  TestMatrix x, weight, bias, dy, m, dm, y, dbias;
  std::vector<TestMatrix> weights, biases, dweights, dbiases;
  std::vector<LinearHead> heads;
  std::vector<LinearHeadGradient> gradients;
  GarbageWorkspace workspace;
};

/// The layer as it is defined: E first, then each head on its columns of E.
std::vector<double> naive(const Shape& shape, const std::vector<double>& x, const std::vector<double>& weight,
                          const std::vector<double>& bias, const std::vector<std::vector<double>>& weights,
                          const std::vector<std::vector<double>>& biases) {
  std::vector<double> e = naive_product(x, weight, shape.n, shape.in, shape.width, false, true);
  for (std::size_t i = 0; i < e.size(); ++i) e[i] += bias[i % shape.width];
  std::vector<double> y;
  for (std::int64_t i = 0; i < shape.n; ++i) {
    for (std::size_t r = 0; r < shape.heads.size(); ++r) {
      const Shape::HeadShape& head = shape.heads[r];
      for (std::int64_t o = 0; o < head.out; ++o) {
        double sum = biases[r][o];
        for (std::int64_t j = 0; j < head.columns; ++j) {
          sum += weights[r][o * head.columns + j] * e[i * shape.width + head.first_column + j];
        }
        y.push_back(sum);
      }
    }
  }
  return y;
}

std::vector<std::vector<double>> doubles(const std::vector<TestMatrix>& matrices) {
  std::vector<std::vector<double>> values;
  for (const TestMatrix& matrix : matrices) values.push_back(matrix.doubles());
  return values;
}

}  // namespace

TEST_CASE("factored_linear equals the layers it stands for") {
  for_each_precision([](Backend& backend) {
    for (const Shape& shape : shapes()) {
      const Case c(backend, shape);
      backend.factored_linear(c.x.view(), c.weight.view(), c.bias.vector(), c.heads, c.m.view(), c.y.view(),
                              c.workspace);
      const auto expected = naive(shape, c.x.doubles(), c.weight.doubles(), c.bias.doubles(),
                                  doubles(c.weights), doubles(c.biases));
      CHECK(relative_error(c.y.values(), expected) < 2e-6);
      CHECK(c.y.gap_untouched());
    }
  });
}

TEST_CASE("factored_linear_backward and the written-out weight gradient equal central differences") {
  for_each_precision([](Backend& backend) {
    const std::vector<Shape> all = shapes();
    for (const Shape& shape : {all[0], all[1], all[2]}) {
      const Case c(backend, shape);
      const TestMatrix dweight = TestMatrix::output(backend, shape.width, shape.in, 0);
      backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.heads, c.dy.view(),
                                       c.dm.view(), c.gradients, c.dbias.vector(), c.workspace);
      backend.factored_linear_weight_gradient(c.heads, c.dm.view(), dweight.view(), c.workspace);

      const auto x0 = c.x.doubles(), w0 = c.weight.doubles(), b0 = c.bias.doubles(), up = c.dy.doubles();
      const auto ws0 = doubles(c.weights), bs0 = doubles(c.biases);
      const auto f = [&](const std::vector<double>& w, const std::vector<double>& b,
                         const std::vector<std::vector<double>>& ws,
                         const std::vector<std::vector<double>>& bs) {
        const auto y = naive(shape, x0, w, b, ws, bs);
        double sum = 0.0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += up[i] * y[i];
        return sum;
      };
      CHECK(relative_error(dweight.values(),
                           central_differences([&](auto& v) { return f(v, b0, ws0, bs0); }, w0)) < 2e-6);
      CHECK(relative_error(c.dbias.values(),
                           central_differences([&](auto& v) { return f(w0, v, ws0, bs0); }, b0)) < 2e-6);
      for (std::size_t r = 0; r < c.heads.size(); ++r) {
        const auto with = [&](const std::vector<std::vector<double>>& all_values,
                              const std::vector<double>& v) {
          auto changed = all_values;
          changed[r] = v;
          return changed;
        };
        CHECK(relative_error(
                  c.dweights[r].values(),
                  central_differences([&](auto& v) { return f(w0, b0, with(ws0, v), bs0); }, ws0[r])) < 2e-6);
        CHECK(relative_error(
                  c.dbiases[r].values(),
                  central_differences([&](auto& v) { return f(w0, b0, ws0, with(bs0, v)); }, bs0[r])) < 2e-6);
      }
    }
  });
}

TEST_CASE("factored_linear_backward of many rows equals the products it stands for") {
  for_each_precision([](Backend& backend) {
    const Shape shape = shapes().back();
    const Case c(backend, shape);
    backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.heads, c.dy.view(),
                                     c.dm.view(), c.gradients, c.dbias.vector(), c.workspace);
    const auto dm = naive_product(c.dy.doubles(), c.x.doubles(), shape.out(), shape.n, shape.in, true);
    CHECK(relative_error(c.dm.values(), dm) < 8e-7);
    const auto dc = naive_product(dm, c.weight.doubles(), shape.out(), shape.in, shape.width, false, true);
    const auto up = c.dy.doubles(), bias = c.bias.doubles();
    std::int64_t row = 0;
    for (std::size_t r = 0; r < shape.heads.size(); ++r) {
      const Shape::HeadShape& head = shape.heads[r];
      std::vector<double> expected;
      for (std::int64_t o = 0; o < head.out; ++o, ++row) {
        double sum = 0.0;
        for (std::int64_t i = 0; i < shape.n; ++i) sum += up[i * shape.out() + row];
        for (std::int64_t j = 0; j < head.columns; ++j) {
          expected.push_back(dc[row * shape.width + head.first_column + j] +
                             sum * bias[head.first_column + j]);
        }
      }
      CHECK(relative_error(c.dweights[r].values(), expected) < 5e-6);
    }
  });
}

TEST_CASE("factored_linear_update equals the written-out gradient followed by adam, bit for bit") {
  for_each_precision([](Backend& backend) {
    for (const Shape& shape : shapes()) {
      const Case c(backend, shape);
      backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.heads, c.dy.view(),
                                       c.dm.view(), c.gradients, c.dbias.vector(), c.workspace);
      const std::int64_t size = shape.width * shape.in;
      const TestMatrix dweight = TestMatrix::output(backend, shape.width, shape.in, 0);
      const std::vector<float> second = [&] {
        std::vector<float> values = random_values(size, 6);
        for (float& value : values) value = value * value;
        return values;
      }();
      const TestMatrix m1(backend, shape.width, shape.in, 1, 5),
          v1(backend, shape.width, shape.in, 3, second);
      const TestMatrix m2(backend, shape.width, shape.in, 0, 5),
          v2(backend, shape.width, shape.in, 0, second);
      const TestMatrix w2(backend, shape.width, shape.in, 0, c.weight.values());
      const Buffer<OptimizerState> state = to_device(backend, std::vector<OptimizerState>{{2, 1e-2}});
      const AdamSettings settings{0.9, 0.999, 1e-8, 0.1, shape.in % 2 == 0};
      const std::vector<float> before = c.weight.values();

      backend.factored_linear_weight_gradient(c.heads, c.dm.view(), dweight.view(), c.workspace);
      backend.adam(w2.vector(), dweight.vector(), m2.vector(), v2.vector(), settings, state.data());
      backend.factored_linear_update(c.heads, c.dm.view(), c.weight.view(), m1.view(), v1.view(), settings,
                                     state.data(), c.workspace);
      CHECK(c.weight.values() == w2.values());
      CHECK(m1.values() == m2.values());
      CHECK(v1.values() == v2.values());
      CHECK(c.weight.values() != before);
      CHECK(c.weight.gap_untouched());
      CHECK(m1.gap_untouched());
      CHECK(v1.gap_untouched());
    }
  });
}

namespace {

/// Where the packs of 16 bytes end and tiles of 64 columns begin: heads as wide as packs are and not, that
/// begin where a pack does and not, in a tile's last column, and more outputs than a block has threads.
std::vector<Shape> places() {
  return {{5, 72, 8, {{4, 0, 64}, {8, 64, 8}}}, {3, 8, 4, {{3, 0, 6}, {2, 4, 4}}},
          {3, 8, 4, {{3, 0, 4}, {2, 2, 4}}},    {4, 80, 12, {{2, 63, 17}, {17, 0, 40}}},
          {3, 70, 133, {{2, 0, 70}}},           {2, 300, 4, {{290, 4, 292}}}};
}

std::vector<LinearHead> heads_of(const Shape& shape, const Views& weights, const Views& biases) {
  std::vector<LinearHead> heads;
  for (std::size_t r = 0; r < shape.heads.size(); ++r)
    heads.push_back({weights[r], vector_of(biases[r]), shape.heads[r].first_column});
  return heads;
}

/// The heads' weights, their biases, X, the wide weight and its bias to M and Y. What comes of what is no
/// number reaches further than in the layer itself: M mixes the columns.
Operator factored_linear(const Shape& shape) {
  Operator described;
  for (const Shape::HeadShape& head : shape.heads) described.inputs.push_back({head.out, head.columns});
  for (const Shape::HeadShape& head : shape.heads) described.inputs.push_back({1, head.out, {}, true});
  const auto count = static_cast<std::ptrdiff_t>(shape.heads.size());
  described.inputs.insert(described.inputs.end(),
                          {{shape.n, shape.in}, {shape.width, shape.in}, {1, shape.width, {}, true}});
  described.outputs = {{shape.out(), shape.in}, {shape.n, shape.out()}};
  described.run = [=](Backend& backend, const Views& in, const Views& out) {
    const Views rest(in.begin() + 2 * count, in.end());
    const GarbageWorkspace workspace(
        backend, backend.factored_linear_workspace(shape.n, shape.width, shape.in, shape.out()));
    backend.factored_linear(
        rest[0], rest[1], vector_of(rest[2]),
        heads_of(shape, {in.begin(), in.begin() + count}, {in.begin() + count, in.begin() + 2 * count}),
        out[0], out[1], workspace);
  };
  described.reference = [=](const Values& in) {
    const Values rest(in.begin() + 2 * count, in.end());
    std::vector<double> m;
    for (std::size_t r = 0; r < shape.heads.size(); ++r) {
      const Shape::HeadShape& head = shape.heads[r];
      const auto first = rest[1].begin() + head.first_column * shape.in;
      const std::vector<double> seen(first, first + head.columns * shape.in);
      const std::vector<double> rows = naive_product(in[r], seen, head.out, head.columns, shape.in);
      m.insert(m.end(), rows.begin(), rows.end());
    }
    return Values{m, naive(shape, rest[0], rest[1], rest[2], {in.begin(), in.begin() + count},
                           {in.begin() + count, in.begin() + 2 * count})};
  };
  described.tolerance = 2e-6;
  described.nan = NanCheck::none;
  return described;
}

/// The forward's inputs and dY to the gradients of the heads' weights and biases, and of the wide bias.
Operator factored_linear_backward(const Shape& shape) {
  const std::size_t count = shape.heads.size();
  Operator forward = factored_linear(shape);
  forward.outputs.erase(forward.outputs.begin());
  std::vector<std::size_t> wanted;
  for (std::size_t k = 0; k < 2 * count; ++k) wanted.push_back(k);
  wanted.push_back(2 * count + 2);
  const Run run = [=](Backend& backend, const Views& in, const Views& out) {
    std::vector<LinearHead> heads;
    std::vector<LinearHeadGradient> gradients;
    for (std::size_t r = 0; r < count; ++r) {
      heads.push_back({in[r], vector_of(in[count + r]), shape.heads[r].first_column});
      gradients.push_back({out[r], vector_of(out[count + r])});
    }
    const Buffer<float> dm = garbage(backend, shape.out() * shape.in);
    const GarbageWorkspace workspace(
        backend, backend.factored_linear_workspace(shape.n, shape.width, shape.in, shape.out()));
    const Views rest(in.begin() + static_cast<std::ptrdiff_t>(2 * count), in.end());
    backend.factored_linear_backward(rest[0], rest[1], vector_of(rest[2]), heads, rest[3],
                                     dm.matrix(shape.out(), shape.in), gradients, vector_of(out[2 * count]),
                                     workspace);
  };
  Operator described = gradient_of(forward, wanted, run, [=](const Values& in) {
    const Values rest(in.begin() + static_cast<std::ptrdiff_t>(2 * count), in.end());
    const std::vector<double> dm = naive_product(rest[3], rest[0], shape.out(), shape.n, shape.in, true),
                              dc =
                                  naive_product(dm, rest[1], shape.out(), shape.in, shape.width, false, true),
                              ones(static_cast<std::size_t>(shape.n), 1.0),
                              sums = naive_product(ones, rest[3], 1, shape.n, shape.out());
    Values gradients;
    std::vector<double> dbias(rest[2].size());
    std::int64_t row = 0;
    for (std::size_t r = 0; r < count; ++r) {
      const Shape::HeadShape& head = shape.heads[r];
      gradients.emplace_back();
      for (std::int64_t o = 0; o < head.out; ++o) {
        for (std::int64_t j = 0; j < head.columns; ++j) {
          const std::int64_t column = head.first_column + j;
          gradients.back().push_back(dc[(row + o) * shape.width + column] + sums[row + o] * rest[2][column]);
          dbias[column] += sums[row + o] * in[r][o * head.columns + j];
        }
      }
      row += head.out;
    }
    for (std::size_t r = 0, first = 0; r < count; ++r) {
      const auto begin = sums.begin() + static_cast<std::ptrdiff_t>(first);
      gradients.emplace_back(begin, begin + shape.heads[r].out);
      first += static_cast<std::size_t>(shape.heads[r].out);
    }
    gradients.push_back(dbias);
    return gradients;
  });
  described.differences = nullptr;  // which the test above takes
  described.tolerance = 4e-6;
  described.nan = NanCheck::none;
  return described;
}

/// The heads' weights, dM, the wide weight and its two moments to those three after a step of Adam.
Operator factored_linear_update(const Shape& shape) {
  Operator described;
  for (const Shape::HeadShape& head : shape.heads) described.inputs.push_back({head.out, head.columns});
  std::vector<float> second = random_values(shape.width * shape.in, 6);
  for (float& value : second) value = value * value + 0.1f;
  described.inputs.insert(described.inputs.end(), {{shape.out(), shape.in},
                                                   {shape.width, shape.in},
                                                   {shape.width, shape.in},
                                                   {shape.width, shape.in, second}});
  described.outputs.assign(3, {shape.width, shape.in});
  const std::size_t count = shape.heads.size();
  described.run = [=](Backend& backend, const Views& in, const Views& out) {
    for (std::size_t k = 0; k < 3; ++k) backend.scale(1.0f, in[count + 1 + k], out[k]);
    std::vector<LinearHead> heads;
    std::vector<Buffer<float>> biases;
    for (std::size_t r = 0; r < count; ++r) {
      biases.push_back(garbage(backend, shape.heads[r].out));
      heads.push_back({in[r], biases.back().span(), shape.heads[r].first_column});
    }
    const Buffer<OptimizerState> state = to_device(backend, std::vector<OptimizerState>{{2, 1e-2}});
    const GarbageWorkspace workspace(
        backend, backend.factored_linear_workspace(shape.n, shape.width, shape.in, shape.out()));
    backend.factored_linear_update(heads, in[count], out[0], out[1], out[2], {}, state.data(), workspace);
  };
  described.reference = [=](const Values& in) {
    Values results(in.end() - 3, in.end());
    std::vector<double> gradient(results[0].size());
    std::int64_t row = 0;
    for (std::size_t r = 0; r < count; ++r) {
      const Shape::HeadShape& head = shape.heads[r];
      for (std::int64_t o = 0; o < head.out; ++o, ++row) {
        for (std::int64_t j = 0; j < head.columns; ++j) {
          for (std::int64_t k = 0; k < shape.in; ++k)
            gradient[(head.first_column + j) * shape.in + k] +=
                in[r][o * head.columns + j] * in[count][row * shape.in + k];
        }
      }
    }
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      double &first = results[1][i], &square = results[2][i];
      first = 0.9 * first + 0.1 * gradient[i];
      square = 0.999 * square + 0.001 * gradient[i] * gradient[i];
      results[0][i] -=
          1e-2 * (first / (1.0 - std::pow(0.9, 3))) / (std::sqrt(square / (1.0 - std::pow(0.999, 3))) + 1e-8);
    }
    return results;
  };
  described.tolerance = 4e-6;
  described.nan = NanCheck::none;
  return described;
}

}  // namespace

TEST_CASE("factored_linear and its update, each matrix out of line and with a gap of its own") {
  for (const Shape& shape : places()) {
    const auto check = shape.width > 80 || shape.in > 100 ? &check_outputs : &check_operator;
    check(factored_linear(shape));
    check(factored_linear_update(shape));
    check(factored_linear_backward(shape));
  }
}

TEST_CASE("factored_linear_backward of no rows gives gradients of zero") {
  for_each_precision([](Backend& backend) {
    const Shape shape{0, 4, 3, {{2, 0, 2}, {3, 0, 4}}};
    const Case c(backend, shape);
    backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.heads, c.dy.view(),
                                     c.dm.view(), c.gradients, c.dbias.vector(), c.workspace);
    CHECK(c.dm.values() == std::vector<float>(15));
    CHECK(c.dbias.values() == std::vector<float>(4));
    CHECK(c.dweights[0].values() == std::vector<float>(4));
    CHECK(c.dbiases[1].values() == std::vector<float>(3));
  });
}
