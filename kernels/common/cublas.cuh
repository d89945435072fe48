#pragma once

#include <cstddef>

#include "common/cuda.cuh"

#if defined(SEA_SIMT)
#include "simt/cublas.hpp"
#else
#include <cublas_v2.h>
#endif

namespace sea::cuda {

/// The functions of cuBLAS that are called here. The library is loaded by whoever asks first: linked, it
/// would take 200 MB of every process, those that compute on the processor too.
struct Cublas {
  cublasStatus_t (*create)(cublasHandle_t* handle) = nullptr;
  cublasStatus_t (*destroy)(cublasHandle_t handle) = nullptr;
  cublasStatus_t (*set_stream)(cublasHandle_t handle, cudaStream_t stream) = nullptr;
  cublasStatus_t (*set_workspace)(cublasHandle_t handle, void* workspace, std::size_t bytes) = nullptr;
  const char* (*status_string)(cublasStatus_t status) = nullptr;
  cublasStatus_t (*gemm_ex)(cublasHandle_t handle, cublasOperation_t transpose_a,
                            cublasOperation_t transpose_b, int m, int n, int k, const void* alpha,
                            const void* a, cudaDataType_t a_type, int lda, const void* b,
                            cudaDataType_t b_type, int ldb, const void* beta, void* c, cudaDataType_t c_type,
                            int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm) = nullptr;
};

/// Throws Error where cuBLAS cannot be loaded.
const Cublas& cublas();

}  // namespace sea::cuda
