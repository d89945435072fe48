#pragma once

#include <cstddef>
#include <cstdint>

#include "common/check.cuh"
#include "common/cublas.cuh"
#include "sea/cuda.hpp"

namespace sea::cuda {

/// Dense products on one stream, by cuBLAS: one handle, and one workspace of its own, so that products are
/// the same bits in every run and may be captured.
class Blas {
 public:
  /// Takes its memory from `pool`.
  void open(cudaStream_t stream, cudaMemPool_t pool, const CudaSettings& settings);
  void close() noexcept;

  /// C = alpha op(A) op(B) + beta C for row-major matrices whose shapes fit. Where beta is 0, C is not read.
  void gemm(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
            ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c);

  /// Whether products are allowed: they are on their own stream alone.
  void allow(bool allowed) { allowed_ = allowed; }

  const char* precision_name() const;
  std::size_t workspace_bytes() const;

 private:
  void product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
               ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c, cublasComputeType_t compute);
  /// partials[p] = alpha op(A) op(B) over the columns of op(A) from p times `depth` on, for `count` of them.
  void partial_products(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                        ConstMatrixView a, ConstMatrixView b, std::int64_t depth, std::int64_t count,
                        std::int64_t rows, std::int64_t columns, float* partials);
  void split_product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                     ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c);

  bool allowed_ = true;
  cudaStream_t stream_ = nullptr;
  cublasHandle_t handle_ = nullptr;
  CudaSettings settings_;
  void* library_workspace_ = nullptr;
  float* split_workspace_ = nullptr;
};

}  // namespace sea::cuda
