#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// A wide layer and what reads it: outputs and the range of columns of each reader.
struct Shape {
  std::int64_t n, width, in;
  struct ReaderShape {
    std::int64_t out, first_column, columns;
  };
  std::vector<ReaderShape> readers;

  std::int64_t out() const {
    std::int64_t sum = 0;
    for (const ReaderShape& reader : readers) sum += reader.out;
    return sum;
  }
};

std::vector<Shape> shapes() {
  return {{1, 1, 1, {{1, 0, 1}}},
          {5, 4, 3, {{2, 0, 2}, {3, 0, 4}, {1, 2, 2}}},
          {9, 7, 6, {{2, 1, 3}, {1, 5, 1}}},  // columns that nobody reads
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
    for (const Shape::ReaderShape& reader : shape.readers) {
      weights.emplace_back(backend, reader.out, reader.columns, 3, seed++);
      biases.emplace_back(backend, 1, reader.out, 0, seed++);
      dweights.push_back(TestMatrix::output(backend, reader.out, reader.columns, 1));
      dbiases.push_back(TestMatrix::output(backend, 1, reader.out, 0));
      readers.push_back({weights.back().view(), biases.back().vector(), reader.first_column});
      gradients.push_back({dweights.back().view(), dbiases.back().vector()});
    }
  }

  TestMatrix x, weight, bias, dy, m, dm, y, dbias;
  std::vector<TestMatrix> weights, biases, dweights, dbiases;
  std::vector<LinearReader> readers;
  std::vector<LinearReaderGradient> gradients;
  GarbageWorkspace workspace;
};

/// The layer as it is defined: E first, then each reader on its columns of E.
std::vector<double> naive(const Shape& shape, const std::vector<double>& x, const std::vector<double>& weight,
                          const std::vector<double>& bias, const std::vector<std::vector<double>>& weights,
                          const std::vector<std::vector<double>>& biases) {
  std::vector<double> e = naive_product(x, weight, shape.n, shape.in, shape.width, false, true);
  for (std::size_t i = 0; i < e.size(); ++i) e[i] += bias[i % shape.width];
  std::vector<double> y;
  for (std::int64_t i = 0; i < shape.n; ++i) {
    for (std::size_t r = 0; r < shape.readers.size(); ++r) {
      const Shape::ReaderShape& reader = shape.readers[r];
      for (std::int64_t o = 0; o < reader.out; ++o) {
        double sum = biases[r][o];
        for (std::int64_t j = 0; j < reader.columns; ++j) {
          sum += weights[r][o * reader.columns + j] * e[i * shape.width + reader.first_column + j];
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
  for_each_backend([](Backend& backend) {
    for (const Shape& shape : shapes()) {
      const Case c(backend, shape);
      backend.factored_linear(c.x.view(), c.weight.view(), c.bias.vector(), c.readers, c.m.view(), c.y.view(),
                              c.workspace);
      const auto expected = naive(shape, c.x.doubles(), c.weight.doubles(), c.bias.doubles(),
                                  doubles(c.weights), doubles(c.biases));
      CHECK(relative_error(c.y.values(), expected) < 2e-6);
      CHECK(c.y.gap_untouched());
    }
  });
}

TEST_CASE("factored_linear_backward and the written-out weight gradient equal central differences") {
  for_each_backend([](Backend& backend) {
    const std::vector<Shape> all = shapes();
    for (const Shape& shape : {all[0], all[1], all[2]}) {
      const Case c(backend, shape);
      const TestMatrix dweight = TestMatrix::output(backend, shape.width, shape.in, 0);
      backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.readers, c.dy.view(),
                                       c.dm.view(), c.gradients, c.dbias.vector(), c.workspace);
      backend.factored_linear_weight_gradient(c.readers, c.dm.view(), dweight.view(), c.workspace);

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
      for (std::size_t r = 0; r < c.readers.size(); ++r) {
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
  for_each_backend([](Backend& backend) {
    const Shape shape = shapes().back();
    const Case c(backend, shape);
    backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.readers, c.dy.view(),
                                     c.dm.view(), c.gradients, c.dbias.vector(), c.workspace);
    const auto dm = naive_product(c.dy.doubles(), c.x.doubles(), shape.out(), shape.n, shape.in, true);
    CHECK(relative_error(c.dm.values(), dm) < 8e-7);
    const auto dc = naive_product(dm, c.weight.doubles(), shape.out(), shape.in, shape.width, false, true);
    const auto up = c.dy.doubles(), bias = c.bias.doubles();
    std::int64_t row = 0;
    for (std::size_t r = 0; r < shape.readers.size(); ++r) {
      const Shape::ReaderShape& reader = shape.readers[r];
      std::vector<double> expected;
      for (std::int64_t o = 0; o < reader.out; ++o, ++row) {
        double sum = 0.0;
        for (std::int64_t i = 0; i < shape.n; ++i) sum += up[i * shape.out() + row];
        for (std::int64_t j = 0; j < reader.columns; ++j) {
          expected.push_back(dc[row * shape.width + reader.first_column + j] +
                             sum * bias[reader.first_column + j]);
        }
      }
      CHECK(relative_error(c.dweights[r].values(), expected) < 5e-6);
    }
  });
}

TEST_CASE("factored_linear_update equals the written-out gradient followed by adam, bit for bit") {
  for_each_backend([](Backend& backend) {
    for (const Shape& shape : shapes()) {
      const Case c(backend, shape);
      backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.readers, c.dy.view(),
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

      backend.factored_linear_weight_gradient(c.readers, c.dm.view(), dweight.view(), c.workspace);
      backend.adam(w2.vector(), dweight.vector(), m2.vector(), v2.vector(), settings, state.data());
      backend.factored_linear_update(c.readers, c.dm.view(), c.weight.view(), m1.view(), v1.view(), settings,
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

TEST_CASE("factored_linear_backward of no rows gives gradients of zero") {
  for_each_backend([](Backend& backend) {
    const Shape shape{0, 4, 3, {{2, 0, 2}, {3, 0, 4}}};
    const Case c(backend, shape);
    backend.factored_linear_backward(c.x.view(), c.weight.view(), c.bias.vector(), c.readers, c.dy.view(),
                                     c.dm.view(), c.gradients, c.dbias.vector(), c.workspace);
    CHECK(c.dm.values() == std::vector<float>(15));
    CHECK(c.dbias.values() == std::vector<float>(4));
    CHECK(c.dweights[0].values() == std::vector<float>(4));
    CHECK(c.dbiases[1].values() == std::vector<float>(3));
  });
}
