#pragma once

#include <cstdint>
#include <string>

#include "sea/backend.hpp"

namespace sea::cpu {

/// C = alpha op(A) op(B) + beta C on the calling thread alone; op(A) is m x k, op(B) k x n, all row-major.
/// The one door to the library for dense products. Where beta is 0, C is not read.
void gemm(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta,
          float* c, std::int64_t ldc);

/// The library behind `gemm`, its version and the instruction set it uses.
std::string gemm_library();

}  // namespace sea::cpu
