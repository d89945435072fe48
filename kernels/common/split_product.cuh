#pragma once

#include <cstdint>

#include "common/cuda.cuh"
#include "sea/backend.hpp"

namespace sea::cuda {

/// Floats of scratch memory that `split_product` may use: for the sums of parts of k.
inline constexpr std::int64_t split_product_floats = std::int64_t{16} << 20;

/// C = alpha op(A) op(B) + beta C, and `bias` added to every row where it is not null, to nearly float32's
/// precision on the tensor cores: every operand is split into two parts, of which three products are taken.
/// Where beta is 0, C is not read. The order of all sums depends on the shapes only. Parts are of TF32, or,
/// with `halves` and where the product is large, of half precision (half_product_kernel.cuh).
void split_product(cudaStream_t stream, const char* operator_name, bool halves, Transpose transpose_a,
                   Transpose transpose_b, float alpha, ConstMatrixView a, ConstMatrixView b, float beta,
                   MatrixView c, const float* bias, float* scratch);

/// C = A^T B, and the sums of A's columns.
void split_product_with_sums(cudaStream_t stream, const char* operator_name, bool halves, ConstMatrixView a,
                             ConstMatrixView b, MatrixView c, float* sums, float* scratch);

/// dX = dY W, dW = dY^T X and the sums of dY's columns, none of them empty: in one launch where both products
/// are small, as they do not wait for each other.
void split_linear_backward(cudaStream_t stream, const char* operator_name, bool halves, ConstMatrixView x,
                           ConstMatrixView weight, ConstMatrixView dy, MatrixView dx, MatrixView dweight,
                           float* sums, float* scratch);

}  // namespace sea::cuda
