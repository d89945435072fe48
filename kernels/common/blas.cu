#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "common/blas.cuh"
#include "common/column_sums.cuh"
#include "common/elementwise.cuh"
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

struct Copy {
  __device__ float operator()(float x) const { return x; }
};

}  // namespace

void Blas::open(const std::array<cudaStream_t, stream_count>& streams, cudaMemPool_t pool,
                const CudaSettings& settings) {
  settings_ = settings;
  pool_ = pool;
  for (std::size_t s = 0; s < streams.size(); ++s) lanes_[s].stream = streams[s];
  static_cast<void>(lane());
}

const Blas::Lane& Blas::lane() {
  Lane& lane = *current_;
  if (lane.ready) return lane;
  // What an earlier try had made before it failed is used.
  if (lane.workspace == nullptr) {
    check(cudaMallocFromPoolAsync(&lane.workspace, bytes_of_lane(), pool_, lane.stream), "CudaBackend",
          "allocating the workspace of dense products");
  }
  if (!splits()) {
    if (lane.handle == nullptr) check_blas(cublas().create(&lane.handle), "CudaBackend");
    check_blas(cublas().set_stream(lane.handle, lane.stream), "CudaBackend");
    check_blas(cublas().set_workspace(lane.handle, lane.workspace, library_workspace_bytes), "CudaBackend");
  }
  lane.ready = true;
  return lane;
}

void Blas::close() noexcept {
  for (const Lane& lane : lanes_) {
    if (lane.handle != nullptr) static_cast<void>(cublas().destroy(lane.handle));
    if (lane.workspace != nullptr) static_cast<void>(cudaFreeAsync(lane.workspace, lane.stream));
  }
}

const char* Blas::precision_name() const {
  switch (settings_.matmul_precision) {
    case MatmulPrecision::float32:
      return "float32";
    case MatmulPrecision::tf32x3:
      return "tf32x3";
    case MatmulPrecision::tf32:
      return "tf32";
    case MatmulPrecision::fp16x3:
      return "fp16x3";
  }
  return "";
}

std::size_t Blas::workspace_bytes() const {
  std::size_t bytes = 0;
  for (const Lane& lane : lanes_) bytes += lane.workspace != nullptr ? bytes_of_lane() : 0;
  return bytes;
}

std::size_t Blas::bytes_of_lane() const {
  return splits() ? split_product_floats * sizeof(float) : library_workspace_bytes;
}

void Blas::gemm(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c) {
  if (c.empty()) return;
  const Lane& lane = this->lane();
  if (splits()) {
    split_product(lane.stream, operator_name, halves(), transpose_a, transpose_b, alpha, a, b, beta, c,
                  nullptr, static_cast<float*>(lane.workspace));
  } else {
    product(operator_name, transpose_a, transpose_b, alpha, a, b, beta, c);
  }
}

void Blas::gemm_with_bias(const char* operator_name, Transpose transpose_a, Transpose transpose_b,
                          ConstMatrixView a, ConstMatrixView b, const float* bias, MatrixView c) {
  if (c.empty()) return;
  const Lane& lane = this->lane();
  if (splits()) {
    split_product(lane.stream, operator_name, halves(), transpose_a, transpose_b, 1.0f, a, b, 0.0f, c, bias,
                  static_cast<float*>(lane.workspace));
  } else {
    const ConstMatrixView rows(bias, c.rows, c.columns, 0);  // every row the same one
    elementwise(lane.stream, operator_name, Copy{}, c, rows);
    product(operator_name, transpose_a, transpose_b, 1.0f, a, b, 1.0f, c);
  }
}

void Blas::gemm_with_sums(const char* operator_name, ConstMatrixView a, ConstMatrixView b, MatrixView c,
                          float* sums, float* partials) {
  const Lane& lane = this->lane();
  if (splits() && !c.empty()) {
    split_product_with_sums(lane.stream, operator_name, halves(), a, b, c, sums,
                            static_cast<float*>(lane.workspace));
  } else {
    gemm(operator_name, Transpose::yes, Transpose::no, 1.0f, a, b, 0.0f, c);
    column_sums(lane.stream, operator_name, a, partials, sums);
  }
}

void Blas::linear_backward(const char* operator_name, ConstMatrixView x, ConstMatrixView weight,
                           ConstMatrixView dy, MatrixView dx, MatrixView dweight, float* sums,
                           float* partials) {
  const Lane& lane = this->lane();
  if (splits() && !dx.empty() && !dweight.empty()) {
    split_linear_backward(lane.stream, operator_name, halves(), x, weight, dy, dx, dweight, sums,
                          static_cast<float*>(lane.workspace));
  } else {
    gemm_with_sums(operator_name, dy, x, dweight, sums, partials);
    gemm(operator_name, Transpose::no, Transpose::no, 1.0f, dy, weight, 0.0f, dx);
  }
}

// cuBLAS is column-major: what it sees are the transposes, and C^T = op(B)^T op(A)^T.
void Blas::product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                   ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c) {
  const auto operation = [](Transpose transpose) {
    return transpose == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const auto leading = [&](ConstMatrixView x) {
    return library_int(operator_name, std::max<std::int64_t>({x.leading_dimension, x.columns, 1}));
  };
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows : a.columns;
  if (k == 0) {  // of which the library promises nothing
    split_product(lane().stream, operator_name, false, transpose_a, transpose_b, alpha, a, b, beta, c,
                  nullptr, static_cast<float*>(lane().workspace));
    return;
  }
  const cublasComputeType_t compute =
      settings_.matmul_precision == MatmulPrecision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  check_blas(cublas().gemm_ex(lane().handle, operation(transpose_b), operation(transpose_a),
                              library_int(operator_name, c.columns), library_int(operator_name, c.rows),
                              library_int(operator_name, k), &alpha, b.data, CUDA_R_32F, leading(b), a.data,
                              CUDA_R_32F, leading(a), &beta, c.data, CUDA_R_32F, leading(c), compute,
                              CUBLAS_GEMM_DEFAULT),
             operator_name);
}

}  // namespace sea::cuda
