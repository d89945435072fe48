#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "common/blas.cuh"
#include "common/split_product.cuh"

namespace sea::cuda {

namespace {

constexpr std::size_t library_workspace_bytes = std::size_t{32} << 20;  // what cuBLAS asks for on Hopper

void check_blas(cublasStatus_t status, const char* operator_name) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string(operator_name) + ": cuBLAS failed: " + cublas().status_string(status));
}

int library_int(const char* operator_name, std::int64_t value) {
  require(value <= std::numeric_limits<int>::max(), operator_name, "a product's extents must be below 2^31");
  return static_cast<int>(value);
}

}  // namespace

void Blas::open(cudaStream_t stream, cudaMemPool_t pool, const CudaSettings& settings) {
  stream_ = stream;
  settings_ = settings;
  check_blas(cublas().create(&handle_), "CudaBackend");
  check_blas(cublas().set_stream(handle_, stream), "CudaBackend");
  check(cudaMallocFromPoolAsync(&library_workspace_, library_workspace_bytes, pool, stream), "CudaBackend",
        "allocating cuBLAS's workspace");
  check_blas(cublas().set_workspace(handle_, library_workspace_, library_workspace_bytes), "CudaBackend");
  if (settings.matmul_precision != MatmulPrecision::tf32x3) return;
  void* memory = nullptr;
  check(cudaMallocFromPoolAsync(&memory, split_product_floats * sizeof(float), pool, stream), "CudaBackend",
        "allocating the workspace of split products");
  split_workspace_ = static_cast<float*>(memory);
}

void Blas::close() noexcept {
  if (handle_ != nullptr) static_cast<void>(cublas().destroy(handle_));
  if (library_workspace_ != nullptr) static_cast<void>(cudaFreeAsync(library_workspace_, stream_));
  if (split_workspace_ != nullptr) static_cast<void>(cudaFreeAsync(split_workspace_, stream_));
}

const char* Blas::precision_name() const {
  switch (settings_.matmul_precision) {
    case MatmulPrecision::float32:
      return "float32";
    case MatmulPrecision::tf32x3:
      return "tf32x3";
    case MatmulPrecision::tf32:
      return "tf32";
  }
  return "";
}

std::size_t Blas::workspace_bytes() const {
  return library_workspace_bytes + (split_workspace_ == nullptr ? 0 : split_product_floats * sizeof(float));
}

void Blas::gemm(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c) {
  require(allowed_, operator_name, "no dense product runs beside others");
  if (c.empty()) return;
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows : a.columns;
  const bool worth_splitting =
      static_cast<double>(c.rows) * static_cast<double>(c.columns) * static_cast<double>(k) >=
      settings_.smallest_split_product;
  if (settings_.matmul_precision == MatmulPrecision::tf32x3 && worth_splitting && k > 0) {
    split_product(operator_name, transpose_a, transpose_b, alpha, a, b, beta, c);
    return;
  }
  product(operator_name, transpose_a, transpose_b, alpha, a, b, beta, c,
          settings_.matmul_precision == MatmulPrecision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                              : CUBLAS_COMPUTE_32F);
}

// cuBLAS is column-major: what it sees are the transposes, and C^T = op(B)^T op(A)^T.
void Blas::product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                   ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c,
                   cublasComputeType_t compute) {
  const auto operation = [](Transpose transpose) {
    return transpose == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const auto leading = [&](ConstMatrixView x) {
    return library_int(operator_name, std::max<std::int64_t>({x.leading_dimension, x.columns, 1}));
  };
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows : a.columns;
  check_blas(cublas().gemm_ex(handle_, operation(transpose_b), operation(transpose_a),
                              library_int(operator_name, c.columns), library_int(operator_name, c.rows),
                              library_int(operator_name, k), &alpha, b.data, CUDA_R_32F, leading(b), a.data,
                              CUDA_R_32F, leading(a), &beta, c.data, CUDA_R_32F, leading(c), compute,
                              CUBLAS_GEMM_DEFAULT),
             operator_name);
}

void Blas::split_product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                         ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c) {
  cuda::split_product(stream_, operator_name, transpose_a, transpose_b, alpha, a, b, beta, c, nullptr,
                      split_workspace_);
}

}  // namespace sea::cuda
