#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "common/blas.cuh"
#include "common/elementwise.cuh"
#include "common/launch.cuh"

namespace sea::cuda {

namespace {

constexpr std::size_t library_workspace_bytes = std::size_t{32} << 20;  // what cuBLAS asks for on Hopper
constexpr std::int64_t split_floats = std::int64_t{16} << 20;
constexpr std::int64_t split_depth = 4096;  ///< of one panel
/// The tensor cores round a running sum towards zero and so lose half a bit for every eight columns, an error
/// of 3e-9 times the depth: sums of the big parts are taken in pieces, which are added to each other rounded
/// to nearest. At 128 that is 4e-7 for any depth; one sum in float32 has 5e-7 at 700 and 1.5e-6 at 7,050.
constexpr std::int64_t sum_depth = 128;
/// Room for pieces that are computed at once.
constexpr std::int64_t partial_floats = std::int64_t{4} << 20;

void check_blas(cublasStatus_t status, const char* operator_name) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string(operator_name) + ": cuBLAS failed: " + cublas().status_string(status));
}

int library_int(const char* operator_name, std::int64_t value) {
  require(value <= std::numeric_limits<int>::max(), operator_name, "a product's extents must be below 2^31");
  return static_cast<int>(value);
}

/// x = big + small, both TF32 numbers, so that the tensor cores round no operand. What lies between two rows
/// is zeroed.
__global__ void split_kernel(ConstMatrixView x, MatrixView big, MatrixView small) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
  if (i >= x.rows || j >= big.leading_dimension) return;
  const float value = j < x.columns ? x(i, j) : 0.0f;
  const float upper = __uint_as_float(to_tf32(value));
  const std::int64_t place = i * big.leading_dimension + j;
  big.data[place] = upper;
  small.data[place] = __uint_as_float(to_tf32(value - upper));
}

/// C += the partial products, one after the other.
__global__ void add_partials_kernel(const float* partials, std::int64_t count, MatrixView c) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
  if (i >= c.rows || j >= c.columns) return;
  const float* partial = partials + i * c.columns + j;
  float sum = c(i, j);
#pragma unroll 4
  for (std::int64_t p = 0; p < count; ++p) sum += partial[p * c.rows * c.columns];
  c(i, j) = sum;
}

struct Split {
  ConstMatrixView big, small;
};

Split split(cudaStream_t stream, const char* operator_name, ConstMatrixView x, float*& scratch) {
  const std::int64_t leading = blocks_of(x.columns, 4) * 4;
  const MatrixView big(scratch, x.rows, x.columns, leading);
  scratch += x.rows * leading;
  const MatrixView small(scratch, x.rows, x.columns, leading);
  scratch += x.rows * leading;
  const dim3 blocks(grid_size(blocks_of(x.rows, 4)), grid_size(blocks_of(x.columns, 64)));
  launch(stream, operator_name, {blocks, dim3(64, 4)}, &split_kernel, x, big, small);
  return {big, small};
}

cublasOperation_t operation(Transpose transpose) {
  return transpose == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
}

int leading_dimension(const char* operator_name, ConstMatrixView x) {
  return library_int(operator_name, std::max<std::int64_t>({x.leading_dimension, x.columns, 1}));
}

/// op(X)'s rows [first, first + count) and columns [k_first, k_first + k_count), as X is stored.
ConstMatrixView part(ConstMatrixView x, bool transposed, std::int64_t first, std::int64_t count,
                     std::int64_t k_first, std::int64_t k_count) {
  return transposed ? x.row_range(k_first, k_count).column_range(first, count)
                    : x.row_range(first, count).column_range(k_first, k_count);
}

/// How many rows of `depth` columns, stored either way and padded, fit in `floats` twice.
std::int64_t rows_that_fit(std::int64_t floats, std::int64_t depth) {
  return std::max<std::int64_t>((floats / 2 / (depth + 4) - 4) / 4 * 4, 1);
}

/// Rows of a panel: as many panels as `most` rows each ask for, nearly equal ones.
std::int64_t panel_rows(std::int64_t rows, std::int64_t most) {
  constexpr std::int64_t tile = 64;
  const std::int64_t even = blocks_of(rows, blocks_of(rows, most));
  return std::min(blocks_of(even, tile) * tile, most);
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
  check(cudaMallocFromPoolAsync(&memory, (split_floats + partial_floats) * sizeof(float), pool, stream),
        "CudaBackend", "allocating the workspace of split products");
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
  return library_workspace_bytes +
         (split_workspace_ == nullptr ? 0 : (split_floats + partial_floats) * sizeof(float));
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
  const auto leading = [&](ConstMatrixView x) { return leading_dimension(operator_name, x); };
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows : a.columns;
  check_blas(cublas().gemm_ex(handle_, operation(transpose_b), operation(transpose_a),
                              library_int(operator_name, c.columns), library_int(operator_name, c.rows),
                              library_int(operator_name, k), &alpha, b.data, CUDA_R_32F, leading(b), a.data,
                              CUDA_R_32F, leading(a), &beta, c.data, CUDA_R_32F, leading(c), compute,
                              CUBLAS_GEMM_DEFAULT),
             operator_name);
}

void Blas::partial_products(const char* operator_name, Transpose transpose_a, Transpose transpose_b,
                            float alpha, ConstMatrixView a, ConstMatrixView b, std::int64_t depth,
                            std::int64_t count, std::int64_t rows, std::int64_t columns, float* partials) {
  const float zero = 0.0f;
  const std::int64_t stride_a = transpose_a == Transpose::yes ? depth * a.leading_dimension : depth;
  const std::int64_t stride_b = transpose_b == Transpose::yes ? depth : depth * b.leading_dimension;
  check_blas(cublas().gemm_strided_batched_ex(
                 handle_, operation(transpose_b), operation(transpose_a), library_int(operator_name, columns),
                 library_int(operator_name, rows), library_int(operator_name, depth), &alpha, b.data,
                 CUDA_R_32F, leading_dimension(operator_name, b), stride_b, a.data, CUDA_R_32F,
                 leading_dimension(operator_name, a), stride_a, &zero, partials, CUDA_R_32F,
                 library_int(operator_name, columns), rows * columns, library_int(operator_name, count),
                 CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_GEMM_DEFAULT),
             operator_name);
}

// With A = A' + A'' and B = B' + B'', the small parts below 2^-11 of the big ones: A B = A'' B' + A' B'' + A'
// B' to 2^-22. In panels, so that the parts fit in the workspace.
void Blas::split_product(const char* operator_name, Transpose transpose_a, Transpose transpose_b, float alpha,
                         ConstMatrixView a, ConstMatrixView b, float beta, MatrixView c) {
  const bool flip_a = transpose_a == Transpose::yes, flip_b = transpose_b == Transpose::yes;
  const std::int64_t k = flip_a ? a.rows : a.columns;
  for (std::int64_t k_first = 0; k_first < k; k_first += split_depth) {
    const std::int64_t depth = std::min(split_depth, k - k_first);
    const std::int64_t width = panel_rows(c.columns, rows_that_fit(split_floats / 2, depth));
    const std::int64_t height = panel_rows(c.rows, rows_that_fit(split_floats / 2, depth));
    const float beta_here = k_first == 0 ? beta : 1.0f;
    for (std::int64_t j = 0; j < c.columns; j += width) {
      const std::int64_t columns = std::min(width, c.columns - j);
      float* scratch_b = split_workspace_;
      const Split split_b =
          split(stream_, operator_name, part(b, !flip_b, j, columns, k_first, depth), scratch_b);
      for (std::int64_t i = 0; i < c.rows; i += height) {
        const std::int64_t rows = std::min(height, c.rows - i);
        float* scratch_a = scratch_b;
        const Split split_a =
            split(stream_, operator_name, part(a, flip_a, i, rows, k_first, depth), scratch_a);
        const MatrixView panel = c.row_range(i, rows).column_range(j, columns);
        const auto add = [&](ConstMatrixView left, ConstMatrixView right, float scale) {
          product(operator_name, transpose_a, transpose_b, alpha, left, right, scale, panel,
                  CUBLAS_COMPUTE_32F_FAST_TF32);
        };
        add(split_a.small, split_b.big, beta_here);
        add(split_a.big, split_b.small, 1.0f);
        // As many whole pieces at once as there is room for; what is alone is added to C by cuBLAS.
        float* partials = split_workspace_ + split_floats;
        const std::int64_t room = partial_floats / (rows * columns);
        for (std::int64_t first = 0; first < depth;) {
          const std::int64_t pieces =
              std::clamp<std::int64_t>((depth - first) / sum_depth, 1, std::max<std::int64_t>(room, 1));
          const std::int64_t count = std::min(sum_depth, depth - first);
          const ConstMatrixView left = part(split_a.big, flip_a, 0, rows, first, count),
                                right = part(split_b.big, !flip_b, 0, columns, first, count);
          if (pieces == 1) {
            add(left, right, 1.0f);
          } else {
            partial_products(operator_name, transpose_a, transpose_b, alpha, left, right, sum_depth, pieces,
                             rows, columns, partials);
            const dim3 blocks(grid_size(blocks_of(rows, 4)), grid_size(blocks_of(columns, 64)));
            launch(stream_, operator_name, {blocks, dim3(64, 4)}, &add_partials_kernel, partials, pieces,
                   panel);
          }
          first += pieces == 1 ? count : pieces * sum_depth;
        }
      }
    }
  }
}

}  // namespace sea::cuda
