#pragma once

#include <cstddef>

#include "common/check.cuh"
#include "common/cublas.cuh"
#include "sea/cuda.hpp"

namespace sea::cuda {

/// Dense products on one stream: with split operands by a kernel of our own, else by cuBLAS. One workspace of
/// its own, so that products are the same bits in every run and may be captured.
class Blas {
 public:
  /// Takes its memory from `pool`.
  void open(cudaStream_t stream, cudaMemPool_t pool, const CudaSettings& settings);
  void close() noexcept;

  /// C = alpha op(A) op(B) + beta C for row-major matrices whose shapes fit. Where beta is 0, C is not read.
  void gemm(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
            ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c);
  /// Every row of C = that of op(A) op(B) + bias.
  void gemm_with_bias(const char* operator_name, Transpose transpose_a, Transpose transpose_b,
                      ConstMatrixView a, ConstMatrixView b, const float* bias, MatrixView c);

  /// Whether products are allowed: they are on their own stream alone.
  void allow(bool allowed) { allowed_ = allowed; }

  const char* precision_name() const;
  std::size_t workspace_bytes() const;

 private:
  void product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
               ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c);

  bool allowed_ = true;
  cudaStream_t stream_ = nullptr;
  cublasHandle_t handle_ = nullptr;
  CudaSettings settings_;
  void* workspace_ = nullptr;
};

}  // namespace sea::cuda
