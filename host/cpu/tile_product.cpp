#include "cpu/tile_product.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace sea::cpu {

namespace {

// One vector register, as the compiler's own type: it splits it where the machine's are shorter. Arrays of
// them with constant indices live in registers.
using Lanes [[gnu::vector_size(simd_lanes * sizeof(float)), gnu::aligned(4), gnu::may_alias]] = float;

// 5 x 4 accumulators, four vectors of B and one broadcast fill the 32 registers of AVX-512 well, with 9 loads
// for 20 products; 8 x 2 where B is narrower, with 10 for 16. With 16 registers half as many.
constexpr bool has_many_registers = simd_lanes == 16;
constexpr int tallest = has_many_registers ? 8 : 4;

Lanes& at(float* p) {
  return *reinterpret_cast<Lanes*>(p);
}
const Lanes& at(const float* p) {
  return *reinterpret_cast<const Lanes*>(p);
}

template <int rows, int vectors>
void product_tile(std::int64_t k, const Strided& a, const float* b, std::int64_t ldb, bool accumulate,
                  float* c, std::int64_t ldc) {
  Lanes sums[rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sums[i][v] = accumulate ? at(c + i * ldc + v * simd_lanes) : Lanes{};
  }
  const float* column = a.data;
  for (std::int64_t p = 0; p < k; ++p) {
    Lanes right[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) right[v] = at(b + p * ldb + v * simd_lanes);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const float left = column[i * a.row_stride];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sums[i][v] += left * right[v];
    }
    column += a.column_stride;
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) at(c + i * ldc + v * simd_lanes) = sums[i][v];
  }
}

template <int rows, int vectors>
void product_columns(std::int64_t& j, std::int64_t n, std::int64_t k, const Strided& a, const float* b,
                     std::int64_t ldb, bool accumulate, float* c, std::int64_t ldc) {
  for (; j + vectors * simd_lanes <= n; j += vectors * simd_lanes)
    product_tile<rows, vectors>(k, a, b + j, ldb, accumulate, c + j, ldc);
}

/// All columns of the `rows` rows from `i` on, as often as they fit, `widest` vectors at a time.
template <int rows, int widest>
void product_rows(std::int64_t& i, std::int64_t m, std::int64_t n, std::int64_t k, const Strided& a,
                  const float* b, std::int64_t ldb, bool accumulate, float* c, std::int64_t ldc) {
  for (; i + rows <= m; i += rows) {
    const Strided panel{a.data + i * a.row_stride, a.row_stride, a.column_stride};
    float* row = c + i * ldc;
    std::int64_t j = 0;
    if constexpr (widest > 2) product_columns<rows, widest>(j, n, k, panel, b, ldb, accumulate, row, ldc);
    product_columns<rows, 2>(j, n, k, panel, b, ldb, accumulate, row, ldc);
    product_columns<rows, 1>(j, n, k, panel, b, ldb, accumulate, row, ldc);
  }
}

template <int rows, int columns>
void lane_tile(std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
               std::int64_t n, float* sums) {
  Lanes partial[rows][columns];
#pragma GCC unroll 4
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < columns; ++j) partial[i][j] = at(sums + (i * n + j) * simd_lanes);
  }
  for (std::int64_t p = 0; p < k; p += simd_lanes) {
    Lanes right[columns];
#pragma GCC unroll 4
    for (int j = 0; j < columns; ++j) right[j] = at(b + j * ldb + p);
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) {
      const Lanes left = at(a + i * lda + p);
#pragma GCC unroll 4
      for (int j = 0; j < columns; ++j) partial[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < columns; ++j) at(sums + (i * n + j) * simd_lanes) = partial[i][j];
  }
}

template <int rows>
void lane_rows(std::int64_t& i, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
               std::int64_t lda, const float* b, std::int64_t ldb, float* sums) {
  for (; i + rows <= m; i += rows) {
    std::int64_t j = 0;
    for (; j + 4 <= n; j += 4) {
      lane_tile<rows, 4>(k, a + i * lda, lda, b + j * ldb, ldb, n, sums + (i * n + j) * simd_lanes);
    }
    for (; j < n; ++j) {
      lane_tile<rows, 1>(k, a + i * lda, lda, b + j * ldb, ldb, n, sums + (i * n + j) * simd_lanes);
    }
  }
}

/// Adds in each lane the value `distance` lanes away: of `a` where the lane's number has that bit clear, of
/// `b` where it is set.
template <std::size_t distance, std::size_t... lane>
Lanes fold_pair(Lanes a, Lanes b, std::index_sequence<lane...>) {
  constexpr std::size_t second = simd_lanes;
  return __builtin_shufflevector(a, b, ((lane & distance) != 0 ? lane + second : lane)...) +
         __builtin_shufflevector(a, b,
                                 ((lane & distance) != 0 ? lane - distance + second : lane + distance)...);
}

/// sums[0][i] = the sum of sums[i], for 2 * distance vectors of which each 2 * distance lanes hold a sum.
template <std::size_t distance>
void fold_vectors(Lanes* sums) {
  for (std::size_t i = 0; i < distance; ++i) {
    sums[i] = fold_pair<distance>(sums[i], sums[i + distance], std::make_index_sequence<simd_lanes>());
  }
  if constexpr (distance > 1) fold_vectors<distance / 2>(sums);
}

}  // namespace

void tile_product(std::int64_t m, std::int64_t n, std::int64_t k, const Strided& a, const float* b,
                  std::int64_t ldb, bool accumulate, float* c, std::int64_t ldc) {
  std::int64_t i = 0;
  if (has_many_registers && n >= 4 * simd_lanes) {
    product_rows<5, 4>(i, m, n, k, a, b, ldb, accumulate, c, ldc);
    product_rows<4, 2>(i, m, n, k, a, b, ldb, accumulate, c, ldc);
  } else {
    product_rows<tallest, 2>(i, m, n, k, a, b, ldb, accumulate, c, ldc);
  }
  product_rows<2, 2>(i, m, n, k, a, b, ldb, accumulate, c, ldc);
  product_rows<1, 2>(i, m, n, k, a, b, ldb, accumulate, c, ldc);
}

void lane_product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                  const float* b, std::int64_t ldb, float* sums) {
  std::int64_t i = 0;
  lane_rows<4>(i, m, n, k, a, lda, b, ldb, sums);
  lane_rows<1>(i, m, n, k, a, lda, b, ldb, sums);
}

void fold_lanes(std::int64_t count, const float* sums, float* totals) {
  for (std::int64_t first = 0; first < count; first += simd_lanes) {
    const std::int64_t part = std::min(simd_lanes, count - first);
    Lanes group[simd_lanes] = {};
    for (std::int64_t i = 0; i < part; ++i) group[i] = at(sums + (first + i) * simd_lanes);
    fold_vectors<simd_lanes / 2>(group);
    for (std::int64_t i = 0; i < part; ++i) totals[first + i] = group[0][i];
  }
}

}  // namespace sea::cpu
