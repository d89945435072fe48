// Products of which each operand is the sum of two scaled halves (kernels/common/half_product_kernel.cuh).

#include <bit>
#include <cmath>

#include "common/half_product_kernel.cuh"
#include "sea/cuda.hpp"
#include "simt/testing.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"
#include "tuned.cuh"

using namespace sea;
using namespace sea::test;
namespace split = sea::cuda::split;

namespace {

constexpr bool layouts[4][2] = {{true, true}, {true, false}, {false, false}, {false, true}};

struct Shape {
  std::int64_t m, n, k, parts;
};

/// Operands as they are stored: op(A) is m x k, op(B) k x n; `along`: k is what lies side by side.
struct Operands {
  Shape shape;
  bool a_along, b_along;
  std::vector<float> a, b;

  Operands(const Shape& s, const bool (&along)[2])
      : shape(s),
        a_along(along[0]),
        b_along(along[1]),
        a(random_values(s.m * s.k, 1)),
        b(random_values(s.k * s.n, 2)) {}

  float& at_a(std::int64_t i, std::int64_t k) { return a[a_along ? i * shape.k + k : k * shape.m + i]; }
  float& at_b(std::int64_t k, std::int64_t j) { return b[b_along ? j * shape.k + k : k * shape.n + j]; }
  std::vector<double> exact() const {
    return naive_product(to_double(a), to_double(b), shape.m, shape.k, shape.n, !a_along, b_along);
  }
};

struct Result {
  std::vector<float> c, row_sums;
};

/// alpha op(A) op(B) + beta C + bias, C as long rows of 7 with a gap, in a block order of that seed.
Result multiply(const Operands& x, float alpha = 1.0f, float beta = 0.0f, const std::vector<float>& bias = {},
                std::uint64_t seed = 1) {
  simt::set_schedule_seed(seed);
  CudaBackend backend;
  const auto [m, n, k, parts] = x.shape;
  const Buffer<float> a = to_device(backend, x.a), b = to_device(backend, x.b);
  const Buffer<float> c = to_device(backend, std::vector<float>(static_cast<std::size_t>(m * (n + 3)),
                                                                beta == 0.0f ? std::nanf("") : 7.0f));
  const Buffer<float> sums = garbage(backend, m), scratch = garbage(backend, parts * m * (n + 1));
  const Buffer<float> added = to_device(backend, bias);
  split::Product product{a.matrix(x.a_along ? m : k, x.a_along ? k : m),
                         b.matrix(x.b_along ? n : k, x.b_along ? k : n),
                         MatrixView(c.data(), m, n, n + 3),
                         bias.empty() ? nullptr : added.data(),
                         alpha,
                         beta,
                         k};
  product.k_of_part = cuda::blocks_of(cuda::blocks_of(k, split::depth), parts) * split::depth;
  product.parts = parts > 1 ? scratch.data() : nullptr;
  const auto start = [&]<bool a_rows, bool b_rows>() {
    split::start_halves<cuda::tuned::HalfTiling, a_rows, b_rows>(backend.stream(), "test", product, parts);
  };
  if (x.a_along) {
    x.b_along ? start.operator()<true, true>() : start.operator()<true, false>();
  } else if (x.b_along) {
    start.operator()<false, true>();
  } else {
    product.row_sums = sums.data();
    start.operator()<false, false>();
  }
  const std::vector<float> rows = c.download();
  Result result;
  for (std::int64_t i = 0; i < m; ++i) {
    result.c.insert(result.c.end(), rows.begin() + i * (n + 3), rows.begin() + i * (n + 3) + n);
    for (std::int64_t j = n; j < n + 3; ++j) {
      const float gap = rows[static_cast<std::size_t>(i * (n + 3) + j)];
      CHECK((beta == 0.0f ? std::isnan(gap) : gap == 7.0f));
    }
  }
  result.row_sums = sums.download();
  return result;
}

/// The largest error of a row, relative to the row; infinity where one is no number.
double worst_row(const std::vector<float>& c, const std::vector<double>& exact, std::int64_t n) {
  double worst = 0.0;
  for (std::size_t i = 0; i < c.size(); i += static_cast<std::size_t>(n)) {
    double difference = 0.0, norm = 0.0;
    for (std::size_t j = i; j < i + static_cast<std::size_t>(n); ++j) {
      difference += (c[j] - exact[j]) * (c[j] - exact[j]);
      norm += exact[j] * exact[j];
    }
    if (!std::isfinite(difference)) return HUGE_VAL;
    if (norm > 0.0) worst = std::max(worst, std::sqrt(difference / norm));
  }
  return worst;
}

}  // namespace

TEST_CASE("to_halves rounds to the nearest half, ties to even, and from_halves gives it back", "[fp16]") {
  for (std::uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const float2 both = cuda::from_halves(bits | (bits | 0x8000u) << 16);
    CHECK(both.y == -both.x);
    CHECK(cuda::to_halves(both) == (bits | (bits | 0x8000u) << 16));
    const float2 next = cuda::from_halves(bits + 1);
    if (bits + 1 == 0x7C00) continue;
    const double middle = 0.5 * (static_cast<double>(both.x) + static_cast<double>(next.x));
    const auto tie = static_cast<float>(middle);
    const std::uint32_t halves = cuda::to_halves({tie, std::nextafter(tie, 1e9f)});
    CHECK((halves & 0xFFFFu) == bits + bits % 2);
    CHECK(halves >> 16 == bits + 1);
  }
  CHECK(cuda::to_halves({65519.0f, 65520.0f}) == 0x7C007BFFu);
  CHECK(std::isnan(cuda::from_halves(cuda::to_halves({std::nanf(""), 0.0f})).x));
  CHECK(std::isinf(cuda::from_halves(cuda::to_halves({HUGE_VALF, 0.0f})).x));
}

TEST_CASE("fp16x3: all layouts, sizes that end inside a tile, k in parts, sums of rows", "[fp16]") {
  for (const auto& along : layouts) {
    for (const Shape& shape : {Shape{4, 8, 4, 1}, {132, 140, 100, 1}, {128, 128, 32, 1}, {36, 260, 236, 3}}) {
      CAPTURE(along[0], along[1], shape.m, shape.n, shape.k, shape.parts);
      const Operands x(shape, along);
      const std::vector<float> bias = random_values(shape.n, 3);
      std::vector<double> expected = x.exact();
      for (std::size_t i = 0; i < expected.size(); ++i) {
        expected[i] = 0.5 * expected[i] - 2.0 * 7.0 + bias[i % static_cast<std::size_t>(shape.n)];
      }
      CHECK(relative_error(multiply(x, 0.5f, -2.0f, bias).c, expected) < 1e-6);
      const Result plain = multiply(x);
      CHECK(worst_row(plain.c, x.exact(), shape.n) < 1e-6);
      if (!along[0] && !along[1]) {
        const std::vector<double> ones(static_cast<std::size_t>(shape.k), 1.0);
        CHECK(relative_error(plain.row_sums, naive_product(ones, to_double(x.a), 1, shape.k, shape.m)) <
              1e-6);
      }
      CHECK(multiply(x, 1.0f, 0.0f, {}, 2).c == plain.c);
      CHECK(multiply(x, 1.0f, 0.0f, {}, 3).row_sums.size() == plain.row_sums.size());
    }
  }
}

TEST_CASE("fp16x3: operands of any size are scaled, or multiplied in TF32 where they do not fit", "[fp16]") {
  const float a_size = GENERATE(5e-35f, 1e-30f, 1e-20f, 3e-5f, 1.0f, 1e9f, 1e30f),
              b_size = GENERATE(1e-5f, 1.0f, 1e7f);
  if (a_size * b_size < 1e-37f) return;  // the product has fewer digits itself
  CAPTURE(a_size, b_size);
  for (const auto& along : layouts) {
    Operands x({20, 24, 64, 1}, along);
    for (float& value : x.a) value *= a_size;
    for (float& value : x.b) value *= b_size;
    CHECK(worst_row(multiply(x).c, x.exact(), x.shape.n) < 1e-6);
  }
}

TEST_CASE("fp16x3: one element far above the others, whichever thread looks at it", "[fp16]") {
  const float factor = GENERATE(1024.0f, -1024.0f);
  for (const auto& along : layouts) {
    for (const std::int64_t place : {0, 3, 9, 34, 38, 95}) {
      CAPTURE(along[0], along[1], place, factor);
      const Operands plain({40, 36, 96, 1}, along);
      Operands in_a = plain, in_b = plain;
      in_a.at_a(place % 40, 95 - place) = factor;
      in_b.at_b(95 - place, place % 36) = factor;
      CHECK(worst_row(multiply(in_a).c, in_a.exact(), 36) < 1e-6);
      CHECK(relative_error(multiply(in_b).c, in_b.exact()) < 1e-6);
    }
  }
}

TEST_CASE("fp16x3: rows far below the others keep their digits", "[fp16]") {
  const float factor = GENERATE(0x1p-8f, 0x1p-14f, 0x1p-20f, 0x1p-30f, 0x1p-60f);
  using Numbers = std::vector<std::int64_t>;
  const auto [rows_of_a, columns_of_b] = GENERATE(table<Numbers, Numbers>(
      {{Numbers{0, 7, 39}, Numbers{1, 30}}, {Numbers{7}, Numbers{}}, {Numbers{}, Numbers{30}}}));
  CAPTURE(factor, rows_of_a, columns_of_b);
  for (const auto& along : layouts) {
    Operands x({40, 36, 96, 1}, along);
    for (std::int64_t k = 0; k < x.shape.k; ++k) {
      for (const std::int64_t i : rows_of_a) x.at_a(i, k) *= factor;
      for (const std::int64_t j : columns_of_b) x.at_b(k, j) *= factor;
      x.at_a(11, k) = 0.0f;
    }
    std::vector<double> exact = x.exact(), columns(exact.size());
    std::vector<float> c = multiply(x).c, c_columns(c.size());
    CHECK(worst_row(c, exact, x.shape.n) < 1e-6);
    for (std::int64_t i = 0; i < x.shape.m; ++i) {
      for (std::int64_t j = 0; j < x.shape.n; ++j) {
        columns[static_cast<std::size_t>(j * x.shape.m + i)] =
            exact[static_cast<std::size_t>(i * x.shape.n + j)];
        c_columns[static_cast<std::size_t>(j * x.shape.m + i)] =
            c[static_cast<std::size_t>(i * x.shape.n + j)];
      }
    }
    CHECK(worst_row(c_columns, columns, x.shape.m) < 1e-6);
    for (std::int64_t j = 0; j < x.shape.n; ++j)
      CHECK(c[static_cast<std::size_t>(11 * x.shape.n + j)] == 0.0f);
  }
}

TEST_CASE("fp16x3: what is no number stays in its row, an infinity too", "[fp16]") {
  const std::uint32_t bits = GENERATE(0x7FC00000u, 0x7FFFFFFFu, 0xFFC00001u, 0x7F800000u);
  for (const auto& along : layouts) {
    Operands x({20, 12, 72, 1}, along);
    std::vector<double> exact = x.exact();
    x.at_a(7, 13) = std::bit_cast<float>(bits);
    std::vector<float> c = multiply(x).c;
    for (std::int64_t j = 0; j < x.shape.n; ++j) {
      const auto place = static_cast<std::size_t>(7 * x.shape.n + j);
      CHECK(!std::isfinite(c[place]));
      c[place] = 0.0f;
      exact[place] = 0.0;
    }
    CHECK(worst_row(c, exact, x.shape.n) < 1e-6);
  }
}

TEST_CASE("matmul_precision fp16x3: large products in halves, others as tf32x3 does, in every layout",
          "[fp16]") {
  const auto product = [&](MatmulPrecision precision, const Operands& x) {
    CudaSettings settings;
    settings.matmul_precision = precision;
    CudaBackend backend(settings);
    const auto [m, n, k, parts] = x.shape;
    const Buffer<float> a = to_device(backend, x.a), b = to_device(backend, x.b), out(backend, m * n);
    backend.matmul(x.a_along ? Transpose::no : Transpose::yes, x.b_along ? Transpose::yes : Transpose::no,
                   1.0f, a.matrix(x.a_along ? m : k, x.a_along ? k : m),
                   b.matrix(x.b_along ? n : k, x.b_along ? k : n), 0.0f, out.matrix(m, n));
    return out.download();
  };
  for (const auto& along : layouts) {
    for (const Shape& shape : {Shape{1300, 1292, 36, 1}, {72, 60, 128, 1}}) {
      const Operands x(shape, along);
      const std::vector<float> halves = product(MatmulPrecision::fp16x3, x),
                               tf32 = product(MatmulPrecision::tf32x3, x);
      CHECK(relative_error(halves, x.exact()) < 1e-6);
      CHECK(relative_error(tf32, x.exact()) < 1e-6);
      CHECK((halves == tf32) == (shape.m < 1000));
    }
  }
}
