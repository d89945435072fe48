#include "simt/cublas.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "simt/helpers.hpp"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace {

/// op(X) as a row-major matrix (rows x columns) from a column-major X.
std::vector<float> packed(const float* x, std::int64_t leading, bool transposed, std::int64_t rows,
                          std::int64_t columns, bool tf32) {
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const float value = transposed ? x[j + i * leading] : x[i + j * leading];
      values[i * columns + j] = tf32 ? std::bit_cast<float>(sea::cuda::to_tf32(value)) : value;
    }
  }
  return values;
}

struct Product {
  std::int64_t m, n, k;
  float alpha, beta;
  const float* a;
  const float* b;
  float* c;
  std::int64_t lda, ldb, ldc;
  bool transpose_a, transpose_b, tf32;

  /// sums += row right
  void add(const float* row, const std::vector<float>& right, std::vector<float>& sums) const {
    for (std::int64_t p = 0; p < k; ++p) {
      for (std::int64_t i = 0; i < m; ++i) sums[i] += row[p] * right[p * m + i];
    }
  }
  /// The same by eight elements at a time, each sum rounded towards zero.
  void add_by_tensor_cores(const float* row, const std::vector<float>& right,
                           std::vector<float>& sums) const {
    std::vector<double> group(static_cast<std::size_t>(m));
    for (std::int64_t first = 0; first < k; first += 8) {
      std::copy(sums.begin(), sums.end(), group.begin());
      for (std::int64_t p = first; p < std::min(k, first + 8); ++p) {
        const double factor = row[p];
        for (std::int64_t i = 0; i < m; ++i) group[i] += factor * static_cast<double>(right[p * m + i]);
      }
      std::transform(group.begin(), group.end(), sums.begin(), sea::simt::toward_zero);
    }
  }

  void operator()() const {
    // The columns of C are the rows of C^T = op(B)^T op(A)^T.
    const std::vector<float> left = packed(b, ldb, !transpose_b, n, k, tf32);
    const std::vector<float> right = packed(a, lda, !transpose_a, k, m, tf32);
    std::vector<float> sums(static_cast<std::size_t>(m));
    for (std::int64_t j = 0; j < n; ++j) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      if (tf32) {
        add_by_tensor_cores(left.data() + j * k, right, sums);
      } else {
        add(left.data() + j * k, right, sums);
      }
      float* column = c + j * ldc;
      for (std::int64_t i = 0; i < m; ++i) {
        column[i] = alpha * sums[i] + (beta == 0.0f ? 0.0f : beta * column[i]);
      }
    }
  }
};

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  if (sea::simt::fails_now()) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasContext;
  sea::simt::count_library_handle(1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  sea::simt::count_library_handle(-1);
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (sea::simt::fails_now()) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t, void*, std::size_t) {
  return sea::simt::fails_now() ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an argument is invalid";
  }
  return "unknown";
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                            cublasOperation_t transpose_b, int m, int n, int k, const void* alpha,
                            const void* a, cudaDataType_t, int lda, const void* b, cudaDataType_t, int ldb,
                            const void* beta, void* c, cudaDataType_t, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t) {
  const bool flip_a = transpose_a == CUBLAS_OP_T, flip_b = transpose_b == CUBLAS_OP_T;
  const bool good = m >= 0 && n >= 0 && k >= 0 && lda >= std::max(1, flip_a ? k : m) &&
                    ldb >= std::max(1, flip_b ? n : k) && ldc >= std::max(1, m);
  if (!good) return CUBLAS_STATUS_INVALID_VALUE;
  const Product product{m,
                        n,
                        k,
                        *static_cast<const float*>(alpha),
                        *static_cast<const float*>(beta),
                        static_cast<const float*>(a),
                        static_cast<const float*>(b),
                        static_cast<float*>(c),
                        lda,
                        ldb,
                        ldc,
                        flip_a,
                        flip_b,
                        compute == CUBLAS_COMPUTE_32F_FAST_TF32};
  return sea::simt::enqueue_library_call("cublasGemmEx", product, handle->stream) == cudaSuccess
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_INVALID_VALUE;
}
