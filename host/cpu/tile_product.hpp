#pragma once

#include <cstdint>

namespace sea::cpu {

/// Floats in a vector register.
#if defined(__AVX512F__)
inline constexpr std::int64_t simd_lanes = 16;
#elif defined(__AVX__)
inline constexpr std::int64_t simd_lanes = 8;
#else
inline constexpr std::int64_t simd_lanes = 4;
#endif

/// Sizes that must be a multiple of `simd_lanes` are padded to a multiple of this, the same on every machine.
inline constexpr std::int64_t padding = 16;
static_assert(padding % simd_lanes == 0);

constexpr std::int64_t padded(std::int64_t size) {
  return (size + padding - 1) / padding * padding;
}

/// The left operand of a tile product: element (i, p) is `data[i * row_stride + p * column_stride]`.
struct Strided {
  const float* data;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

/// C = A B, or C += A B where `accumulate`: A is m x k, B k x n and C m x n are row-major, n is a multiple of
/// `simd_lanes`. For operands that lie in cache: nothing is packed or allocated, one call costs nanoseconds,
/// so that it pays for products much too small for `gemm`. Each sum runs over p in ascending order.
void tile_product(std::int64_t m, std::int64_t n, std::int64_t k, const Strided& a, const float* b,
                  std::int64_t ldb, bool accumulate, float* c, std::int64_t ldc);

/// sums[i * n + j][lane] += the sum of A[i, p] B[j, p] over the p of that lane, p mod `simd_lanes`: the
/// product A B^T (m x n) of two row-major matrices whose rows are long, left spread over the lanes so that a
/// caller who walks over pieces of the rows folds them (`fold_lanes`) once in the end. k is a multiple of
/// `simd_lanes`; `sums` holds m * n * simd_lanes floats.
void lane_product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                  const float* b, std::int64_t ldb, float* sums);

/// totals[i] = the sum of the `simd_lanes` values of sums[i].
void fold_lanes(std::int64_t count, const float* sums, float* totals);

}  // namespace sea::cpu
