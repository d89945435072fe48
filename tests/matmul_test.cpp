#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/operator_check.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("matmul equals a naive product for every transposition, shape and leading dimension") {
  struct Shape {
    std::int64_t m, n, k;
  };
  for_each_precision([](Backend& backend) {
    for (const Shape shape :
         {Shape{1, 1, 1}, {1, 7, 3}, {5, 1, 4}, {33, 17, 29}, {130, 70, 64}, {400, 300, 37}}) {
      for (const bool flip_a : {false, true}) {
        for (const bool flip_b : {false, true}) {
          const auto [m, n, k] = shape;
          const TestMatrix a(backend, flip_a ? k : m, flip_a ? m : k, 3, 1);
          const TestMatrix b(backend, flip_b ? n : k, flip_b ? k : n, 1, 2);
          const TestMatrix c(backend, m, n, 2, 3);
          std::vector<double> expected = naive_product(a.doubles(), b.doubles(), m, k, n, flip_a, flip_b);
          const std::vector<double> before = c.doubles();
          for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = 0.5 * expected[i] - 2.0 * before[i];
          backend.matmul(Transpose{flip_a}, Transpose{flip_b}, 0.5f, a.view(), b.view(), -2.0f, c.view());
          CHECK(relative_error(c.values(), expected) < 1e-6);
          CHECK(c.gap_untouched());
        }
      }
    }
  });
}

TEST_CASE("matmul: long sums keep float32's accuracy") {
  struct Shape {
    std::int64_t m, n, k;
    double bound;
  };
  // One float32 sum of k random products, each step rounded to nearest, has an error of 1.8e-8 sqrt(k).
  for_each_precision([](Backend& backend) {
    for (const auto& [m, n, k, bound] : {Shape{78, 70, 700, 6e-7}, {40, 90, 5000, 1.5e-6}}) {
      for (const bool flip_a : {false, true}) {
        for (const bool flip_b : {false, true}) {
          CAPTURE(m, n, k, flip_a, flip_b);
          const TestMatrix a(backend, flip_a ? k : m, flip_a ? m : k, 3, 1);
          const TestMatrix b(backend, flip_b ? n : k, flip_b ? k : n, 1, 2);
          const TestMatrix c(backend, m, n, 2, 3);
          std::vector<double> expected = naive_product(a.doubles(), b.doubles(), m, k, n, flip_a, flip_b);
          const std::vector<double> before = c.doubles();
          for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = 0.5 * expected[i] - 2.0 * before[i];
          backend.matmul(Transpose{flip_a}, Transpose{flip_b}, 0.5f, a.view(), b.view(), -2.0f, c.view());
          CHECK(relative_error(c.values(), expected) < bound);
          CHECK(c.gap_untouched());
        }
      }
    }
  });
}

TEST_CASE("matmul: rows that can be copied in packs of four, and each operand alone that cannot") {
  struct Gaps {
    std::int64_t a, b, c;
  };
  for_each_precision([](Backend& backend) {
    for (const Gaps gaps : {Gaps{4, 8, 4}, {8, 4, 0}, {0, 0, 2}, {2, 4, 4}, {4, 1, 4}, {4, 4, 3}}) {
      for (const bool flip_a : {false, true}) {
        for (const bool flip_b : {false, true}) {
          const std::int64_t m = 68, n = 132, k = 100;
          const TestMatrix a(backend, flip_a ? k : m, flip_a ? m : k, gaps.a, 1);
          const TestMatrix b(backend, flip_b ? n : k, flip_b ? k : n, gaps.b, 2);
          const TestMatrix c = TestMatrix::output(backend, m, n, gaps.c);
          backend.matmul(Transpose{flip_a}, Transpose{flip_b}, 1.5f, a.view(), b.view(), 0.0f, c.view());
          std::vector<double> expected = naive_product(a.doubles(), b.doubles(), m, k, n, flip_a, flip_b);
          for (double& value : expected) value *= 1.5;
          CHECK(relative_error(c.values(), expected) < 1e-6);
          CHECK(c.gap_untouched());
        }
      }
    }
  });
}

// On CUDA: tiles of 64 x 64 with k in parts, and tiles of 128 x 128 (common/split_product.cu, `consider`).
TEST_CASE("matmul: k in parts, and as many tiles as a large device has multiprocessors") {
  struct Shape {
    std::int64_t m, n, k, gap;
  };
  for_each_precision([](Backend& backend) {
    for (const auto& [m, n, k, gap] :
         {Shape{70, 130, 1000, 2}, {128, 64, 516, 4}, {1300, 1292, 36, 4}, {1292, 1299, 33, 0}}) {
      for (const bool flip_a : {false, true}) {
        for (const bool flip_b : {false, true}) {
          if (m > 1000 && flip_a != flip_b && gap == 0) continue;  // takes long, emulated
          const TestMatrix a(backend, flip_a ? k : m, flip_a ? m : k, gap, 1);
          const TestMatrix b(backend, flip_b ? n : k, flip_b ? k : n, gap, 2);
          const TestMatrix c(backend, m, n, gap, 3);
          std::vector<double> expected = naive_product(a.doubles(), b.doubles(), m, k, n, flip_a, flip_b);
          const std::vector<double> before = c.doubles();
          for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = 0.5 * expected[i] + before[i];
          backend.matmul(Transpose{flip_a}, Transpose{flip_b}, 0.5f, a.view(), b.view(), 1.0f, c.view());
          CHECK(relative_error(c.values(), expected) < 1e-6);
          CHECK(c.gap_untouched());
        }
      }
    }
  });
}

TEST_CASE("matmul: what is not a number stays in its row, whatever its bits are") {
  // The second one is what arithmetic on a GPU makes.
  const std::uint32_t bits = GENERATE(0x7FC00000u, 0x7FFFFFFFu, 0xFFFFFFFFu, 0xFFC00001u);
  for_each_precision([bits](Backend& backend) {
    const std::int64_t m = 20, n = 12, k = 40;
    std::vector<float> left = random_values(m * k, 1);
    std::memcpy(&left[7 * k + 13], &bits, sizeof(bits));
    const TestMatrix a(backend, m, k, 4, left), b(backend, k, n, 4, 2);
    const TestMatrix c = TestMatrix::output(backend, m, n, 4);
    backend.matmul(Transpose::no, Transpose::no, 1.0f, a.view(), b.view(), 0.0f, c.view());
    const std::vector<float> values = c.values();
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) CHECK(std::isnan(values[i * n + j]) == (i == 7));
    }
  });
}

TEST_CASE("matmul: each operand alone out of line, and rows that end inside a pack") {
  for (const bool flip_a : {false, true}) {
    for (const bool flip_b : {false, true}) {
      for (const auto& [m, n, k] : {std::tuple{9, 12, 20}, {13, 8, 33}, {8, 7, 36}, {70, 68, 12}}) {
        Operator described;
        described.inputs = {{flip_a ? k : m, flip_a ? m : k}, {flip_b ? n : k, flip_b ? k : n}};
        described.outputs = {{m, n}};
        described.run = [=](Backend& backend, const Views& in, const Views& out) {
          const auto of = [](bool flip) { return flip ? Transpose::yes : Transpose::no; };
          backend.matmul(of(flip_a), of(flip_b), 0.5f, in[0], in[1], 0.0f, out[0]);
        };
        described.reference = [=, m = m, n = n, k = k](const Values& in) {
          std::vector<double> c = naive_product(in[0], in[1], m, k, n, flip_a, flip_b);
          for (double& value : c) value *= 0.5;
          return Values{c};
        };
        check_operator(described);
      }
    }
  }
}

TEST_CASE("matmul does not read the result where beta is 0") {
  for_each_precision([](Backend& backend) {
    const TestMatrix a(backend, 9, 4, 0, 1), b(backend, 4, 6, 0, 2);
    const TestMatrix c = TestMatrix::output(backend, 9, 6, 1);
    backend.matmul(Transpose::no, Transpose::no, 1.0f, a.view(), b.view(), 0.0f, c.view());
    CHECK(relative_error(c.values(), naive_product(a.doubles(), b.doubles(), 9, 4, 6)) < 1e-6);
  });
}

TEST_CASE("matmul refuses shapes that do not fit, by name") {
  for_each_precision([](Backend& backend) {
    const TestMatrix a(backend, 9, 4, 0, 1), b(backend, 5, 6, 0, 2), c(backend, 9, 6, 0, 3);
    try {
      backend.matmul(Transpose::no, Transpose::no, 1.0f, a.view(), b.view(), 0.0f, c.view());
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(std::string(error.what()) == "matmul: b is 5 x 6 and must be 4 x 6");
    }
  });
}

TEST_CASE("matmul of nothing is beta C") {
  for_each_precision([](Backend& backend) {
    const Buffer<float> values = garbage(backend, 8);
    const MatrixView a(values.data(), 3, 0), b(values.data(), 0, 2);
    const std::vector<float> start{1.0f, -2.0f, 3.0f, 4.0f, 5.0f, -6.0f};
    const TestMatrix c(backend, 3, 2, 1, start), d = TestMatrix::output(backend, 3, 2, 2);
    backend.matmul(Transpose::no, Transpose::no, 1.0f, a, b, 0.5f, c.view());
    backend.matmul(Transpose::no, Transpose::no, 1.0f, a, b, 0.0f, d.view());
    CHECK(c.values() == std::vector<float>{0.5f, -1.0f, 1.5f, 2.0f, 2.5f, -3.0f});
    CHECK(d.values() == std::vector<float>(6));
    CHECK(c.gap_untouched());
    CHECK(d.gap_untouched());
  });
}
