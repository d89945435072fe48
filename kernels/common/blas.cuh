#pragma once

#include <array>
#include <cstddef>

#include "common/check.cuh"
#include "common/cublas.cuh"
#include "sea/cuda.hpp"

namespace sea::cuda {

/// Dense products: with split operands by a kernel of our own, else by cuBLAS. Each stream has a workspace
/// and a handle of its own from its first product on, so that products are the same bits in every run, may
/// run side by side and be captured.
class Blas {
 public:
  /// Takes its memory from `pool`.
  void open(const std::array<cudaStream_t, stream_count>& streams, cudaMemPool_t pool,
            const CudaSettings& settings);
  void close() noexcept;

  /// C = alpha op(A) op(B) + beta C for row-major matrices whose shapes fit. Where beta is 0, C is not read.
  void gemm(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
            ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c);
  /// Every row of C = that of op(A) op(B) + bias.
  void gemm_with_bias(const char* operator_name, Transpose transpose_a, Transpose transpose_b,
                      ConstMatrixView a, ConstMatrixView b, const float* bias, MatrixView c);
  /// C = A^T B, and `sums`, those of A's columns: the gradients of a layer's weight and bias. `partials`:
  /// scratch memory of column_sums_partials(A's rows, A's columns) floats.
  void gemm_with_sums(const char* operator_name, ConstMatrixView a, ConstMatrixView b, MatrixView c,
                      float* sums, float* partials);
  /// dW = dY^T X with the sums of dY's columns, as above, and dX = dY W, where it is not empty.
  void linear_backward(const char* operator_name, ConstMatrixView x, ConstMatrixView weight,
                       ConstMatrixView dy, MatrixView dx, MatrixView dweight, float* sums, float* partials);

  /// The stream of the products that follow.
  void choose(Stream stream) { current_ = &lanes_[static_cast<std::size_t>(stream)]; }

  const char* precision_name() const;
  /// Of all streams.
  std::size_t workspace_bytes() const;

 private:
  struct Lane {
    cudaStream_t stream = nullptr;
    cublasHandle_t handle = nullptr;
    void* workspace = nullptr;
    bool ready = false;
  };

  /// The chosen one, with what products need.
  const Lane& lane();
  std::size_t bytes_of_lane() const;
  bool halves() const { return settings_.matmul_precision == MatmulPrecision::fp16x3; }
  bool splits() const { return settings_.matmul_precision == MatmulPrecision::tf32x3 || halves(); }
  void product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
               ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c);

  CudaSettings settings_;
  cudaMemPool_t pool_ = nullptr;
  std::array<Lane, stream_count> lanes_;
  Lane* current_ = lanes_.data();
};

}  // namespace sea::cuda
