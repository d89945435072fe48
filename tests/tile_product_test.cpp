#include "cpu/tile_product.hpp"

#include <vector>

#include "support/backends.hpp"
#include "support/catch.hpp"

using namespace sea::cpu;
using sea::test::random_values;

TEST_CASE("tile_product: every remainder of rows and columns, both strides") {
  constexpr float untouched = 77.0f;
  for (std::int64_t m = 1; m <= 19; m += (m == 11 ? 8 : 1)) {
    for (const std::int64_t n : {simd_lanes, 2 * simd_lanes, 5 * simd_lanes}) {
      for (const std::int64_t k : {0, 1, 7}) {
        for (const bool transposed : {false, true}) {
          const std::int64_t lda = (transposed ? m : k) + 2, ldb = n + 3, ldc = n + 1;
          const std::vector<float> a = random_values((transposed ? k : m) * lda, 1);
          const std::vector<float> b = random_values(k * ldb, 2), before = random_values(m * ldc, 3);
          const Strided left{a.data(), transposed ? 1 : lda, transposed ? lda : 1};
          for (const bool accumulate : {false, true}) {
            std::vector<float> c = before;
            for (std::int64_t i = 0; i < m; ++i) c[i * ldc + n] = untouched;
            tile_product(m, n, k, left, b.data(), ldb, accumulate, c.data(), ldc);
            double worst = 0.0;
            bool gaps = true;
            for (std::int64_t i = 0; i < m; ++i) {
              gaps = gaps && c[i * ldc + n] == untouched;
              for (std::int64_t j = 0; j < n; ++j) {
                double sum = accumulate ? static_cast<double>(before[i * ldc + j]) : 0.0;
                for (std::int64_t p = 0; p < k; ++p) {
                  sum += static_cast<double>(transposed ? a[p * lda + i] : a[i * lda + p]) * b[p * ldb + j];
                }
                worst = std::max(worst, std::abs(sum - c[i * ldc + j]));
              }
            }
            CAPTURE(m, n, k, transposed, accumulate);
            CHECK(worst < 2e-6);
            CHECK(gaps);
          }
        }
      }
    }
  }
}

TEST_CASE("lane_product and fold_lanes: products of long rows, a piece at a time") {
  for (const std::int64_t m : {1, 4, 7, 9}) {
    for (const std::int64_t n : {1, 3, 4, 8, 21}) {
      const std::int64_t k = 3 * simd_lanes, lda = 2 * k + 5, ldb = 2 * k + 2;
      const std::vector<float> a = random_values(m * lda, 1), b = random_values(n * ldb, 2);
      std::vector<float> sums(static_cast<std::size_t>(m * n * simd_lanes), 0.0f);
      lane_product(m, n, k, a.data(), lda, b.data(), ldb, sums.data());
      lane_product(m, n, k, a.data() + k, lda, b.data() + k, ldb, sums.data());
      std::vector<float> totals(static_cast<std::size_t>(m * n));
      fold_lanes(m * n, sums.data(), totals.data());
      double worst = 0.0;
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          double sum = 0.0;
          for (std::int64_t p = 0; p < 2 * k; ++p) {
            sum += static_cast<double>(a[i * lda + p]) * b[j * ldb + p];
          }
          worst = std::max(worst, std::abs(sum - totals[i * n + j]));
        }
      }
      CAPTURE(m, n);
      CHECK(worst < 1e-5);
    }
  }
}
