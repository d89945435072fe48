#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

struct Shape {
  std::int64_t n, in, out;
};

/// Sum of upstream * (X W^T + bias), all in double precision.
double weighted_output(const std::vector<double>& x, const std::vector<double>& weight,
                       const std::vector<double>& bias, const std::vector<double>& upstream, Shape shape) {
  std::vector<double> y = naive_product(x, weight, shape.n, shape.in, shape.out, false, true);
  double sum = 0.0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += upstream[i] * (y[i] + bias[i % shape.out]);
  return sum;
}

}  // namespace

TEST_CASE("linear equals a naive loop") {
  for_each_backend([](Backend& backend) {
    for (const Shape shape : {Shape{1, 1, 1}, {3, 5, 1}, {1000, 6, 7}, {1025, 33, 16}}) {
      const TestMatrix x(backend, shape.n, shape.in, 2, 1), weight(backend, shape.out, shape.in, 0, 2);
      const TestMatrix bias(backend, 1, shape.out, 0, 3);
      const TestMatrix y = TestMatrix::output(backend, shape.n, shape.out, 3);
      backend.linear(x.view(), weight.view(), bias.vector(), y.view());
      std::vector<double> expected =
          naive_product(x.doubles(), weight.doubles(), shape.n, shape.in, shape.out, false, true);
      const std::vector<double> added = bias.doubles();
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += added[i % shape.out];
      CHECK(relative_error(y.values(), expected) < 1e-6);
      CHECK(y.gap_untouched());
    }
  });
}

TEST_CASE("linear_backward equals central differences, with and without the input's gradient") {
  for_each_backend([](Backend& backend) {
    for (const Shape shape : {Shape{1, 1, 1}, {7, 3, 5}, {6, 8, 2}}) {
      const TestMatrix x(backend, shape.n, shape.in, 1, 1), weight(backend, shape.out, shape.in, 0, 2);
      const TestMatrix bias(backend, 1, shape.out, 0, 3), dy(backend, shape.n, shape.out, 2, 4);
      const TestMatrix dx = TestMatrix::output(backend, shape.n, shape.in, 3);
      const TestMatrix dweight = TestMatrix::output(backend, shape.out, shape.in, 2);
      const TestMatrix dbias = TestMatrix::output(backend, 1, shape.out, 0);
      const GarbageWorkspace workspace(backend,
                                       backend.linear_backward_workspace(shape.n, shape.in, shape.out));
      backend.linear_backward(x.view(), weight.view(), dy.view(), dx.view(), dweight.view(), dbias.vector(),
                              workspace);
      const auto f = [&](const std::vector<double>& x_, const std::vector<double>& w,
                         const std::vector<double>& b) {
        return weighted_output(x_, w, b, dy.doubles(), shape);
      };
      const auto x0 = x.doubles(), w0 = weight.doubles(), b0 = bias.doubles();
      CHECK(relative_error(dx.values(), central_differences([&](auto& v) { return f(v, w0, b0); }, x0)) <
            1e-6);
      CHECK(relative_error(dweight.values(), central_differences([&](auto& v) { return f(x0, v, b0); }, w0)) <
            1e-6);
      CHECK(relative_error(dbias.values(), central_differences([&](auto& v) { return f(x0, w0, v); }, b0)) <
            1e-6);
      CHECK(dx.gap_untouched());
      CHECK(dweight.gap_untouched());

      const std::vector<float> before = dweight.values();
      backend.linear_backward(x.view(), weight.view(), dy.view(), {}, dweight.view(), dbias.vector(),
                              workspace);
      CHECK(dweight.values() == before);
    }
  });
}

TEST_CASE("linear_backward sums several blocks of rows") {
  for_each_backend([](Backend& backend) {
    // As long a sum as tensor cores, which round towards zero, keep to 4e-6.
    const Shape shape{1300, 5, 4};
    const TestMatrix x(backend, shape.n, shape.in, 0, 1), weight(backend, shape.out, shape.in, 0, 2);
    const TestMatrix dy(backend, shape.n, shape.out, 0, 4);
    const TestMatrix dweight = TestMatrix::output(backend, shape.out, shape.in, 1);
    const TestMatrix dbias = TestMatrix::output(backend, 1, shape.out, 0);
    const GarbageWorkspace workspace(backend,
                                     backend.linear_backward_workspace(shape.n, shape.in, shape.out));
    backend.linear_backward(x.view(), weight.view(), dy.view(), {}, dweight.view(), dbias.vector(),
                            workspace);
    CHECK(relative_error(dweight.values(), naive_product(dy.doubles(), x.doubles(), shape.out, shape.n,
                                                         shape.in, true)) < 4e-6);
    const std::vector<double> ones(static_cast<std::size_t>(shape.n), 1.0);
    CHECK(relative_error(dbias.values(), naive_product(ones, dy.doubles(), 1, shape.n, shape.out)) < 1e-6);
  });
}

TEST_CASE("linear_backward of no rows gives gradients of zero") {
  for_each_backend([](Backend& backend) {
    const Buffer<float> values = garbage(backend, 12);
    const TestMatrix dweight = TestMatrix::output(backend, 4, 3, 1);
    const TestMatrix dbias = TestMatrix::output(backend, 1, 4, 0);
    const GarbageWorkspace workspace(backend, backend.linear_backward_workspace(0, 3, 4));
    backend.linear_backward(MatrixView(values.data(), 0, 3), MatrixView(values.data(), 4, 3),
                            MatrixView(values.data(), 0, 4), {}, dweight.view(), dbias.vector(), workspace);
    CHECK(dweight.values() == std::vector<float>(12));
    CHECK(dbias.values() == std::vector<float>(4));
    CHECK(dweight.gap_untouched());
  });
}
