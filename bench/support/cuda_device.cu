#if defined(SEA_WITH_CUSPARSE)
#include <cusparse.h>
#endif

#include <algorithm>
#include <cub/device/device_segmented_radix_sort.cuh>
#include <limits>
#include <string>
#include <utility>

#include "common/check.cuh"
#include "common/cublas.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"
#include "sea/buffer.hpp"
#include "sea/cuda.hpp"
#include "support/device.hpp"

namespace sea::bench {

namespace {

using cuda::blocks_of;
using cuda::check;
using cuda::grid_size;

constexpr int block_threads = 256;

void check(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(std::string("cuBLAS: ") + cuda::cublas().status_string(status));
}

#if defined(SEA_WITH_CUSPARSE)
void check(cusparseStatus_t status) {
  if (status != CUSPARSE_STATUS_SUCCESS)
    throw Error(std::string("cuSPARSE: ") + cusparseGetErrorString(status));
}
#endif

__global__ void plain_adam_kernel(float* parameters, const float* gradients, float* first_moment,
                                  float* second_moment, std::int64_t count) {
  constexpr float beta1 = 0.9f, beta2 = 0.999f, rate = 1e-4f, epsilon = 1e-8f;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (i >= count) return;
  const float first = beta1 * first_moment[i] + (1.0f - beta1) * gradients[i];
  const float second = beta2 * second_moment[i] + (1.0f - beta2) * gradients[i] * gradients[i];
  first_moment[i] = first;
  second_moment[i] = second;
  parameters[i] -= rate * (first / (1.0f - beta1)) / (sqrtf(second / (1.0f - beta2)) + epsilon);
}

/// A block per row.
__global__ void mask_kernel(MatrixView scores, CsrPatternView excluded) {
  const std::int64_t row = blockIdx.x;
  for (std::int64_t e = excluded.row_offsets[row] + threadIdx.x; e < excluded.row_offsets[row + 1];
       e += block_threads)
    scores(row, excluded.column_indices[e]) = -INFINITY;
}

/// 0, 1, 2, ... in every row; a block per row.
__global__ void number_columns_kernel(std::int32_t* ids, std::int64_t columns) {
  for (std::int64_t j = threadIdx.x; j < columns; j += block_threads)
    ids[blockIdx.x * columns + j] = static_cast<std::int32_t>(j);
}

/// A block per row. The shift is the row's diagonal: cosines over a temperature do not overflow under it.
__global__ void softmax_gradient_kernel(MatrixView logits, float* losses) {
  struct Shared {
    float sums[32];
  };
  Shared& shared = cuda::shared_memory<Shared>();
  const std::int64_t i = blockIdx.x;
  float* const row = logits.row(i);
  const float diagonal = row[i];
  __syncthreads();  // everyone has read it
  float sum = 0.0f;
  for (std::int64_t j = threadIdx.x; j < logits.columns; j += block_threads) {
    row[j] = expf(row[j] - diagonal);
    sum += row[j];
  }
  sum = cuda::block_sum<block_threads>(sum, shared.sums);
  for (std::int64_t j = threadIdx.x; j < logits.columns; j += block_threads)
    row[j] = row[j] / sum - (j == i ? 1.0f : 0.0f);
  if (threadIdx.x == 0) losses[i] = logf(sum);
}

/// A library's handle, one a device.
struct DenseLibrary {
  explicit DenseLibrary(CudaBackend& backend) : workspace(backend, 32 << 20) {
    check(cuda::cublas().create(&handle));
    check(cuda::cublas().set_stream(handle, backend.stream()));
    check(cuda::cublas().set_workspace(handle, workspace.data(), workspace.bytes()));
  }
  ~DenseLibrary() { static_cast<void>(cuda::cublas().destroy(handle)); }
  DenseLibrary(const DenseLibrary&) = delete;
  DenseLibrary& operator=(const DenseLibrary&) = delete;

  Buffer<std::byte> workspace;
  cublasHandle_t handle = nullptr;
};

#if defined(SEA_WITH_CUSPARSE)

struct SparseLibrary {
  explicit SparseLibrary(CudaBackend& backend) {
    check(cusparseCreate(&handle));
    check(cusparseSetStream(handle, backend.stream()));
  }
  ~SparseLibrary() { static_cast<void>(cusparseDestroy(handle)); }
  SparseLibrary(const SparseLibrary&) = delete;
  SparseLibrary& operator=(const SparseLibrary&) = delete;

  cusparseHandle_t handle = nullptr;
};

/// A product of cuSPARSE by one of its algorithms.
class SparseProduct {
 public:
  SparseProduct(CudaBackend& backend, cusparseHandle_t handle, cusparseSpMMAlg_t algorithm, const CsrView& a,
                std::int64_t nonzeros, std::int32_t* offsets, ConstMatrixView x, MatrixView y)
      : handle_(handle), algorithm_(algorithm) {
    check(cusparseCreateCsr(&a_, a.rows, a.columns, nonzeros, offsets,
                            const_cast<std::int32_t*>(a.column_indices), const_cast<float*>(a.values),
                            CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, CUDA_R_32F));
    check(cusparseCreateDnMat(&x_, x.rows, x.columns, x.leading_dimension, const_cast<float*>(x.data),
                              CUDA_R_32F, CUSPARSE_ORDER_ROW));
    check(cusparseCreateDnMat(&y_, y.rows, y.columns, y.leading_dimension, y.data, CUDA_R_32F,
                              CUSPARSE_ORDER_ROW));
    std::size_t bytes = 0;
    check(cusparseSpMM_bufferSize(handle_, no, no, &one, a_, x_, &zero, y_, CUDA_R_32F, algorithm_, &bytes));
    workspace_ = Buffer<std::byte>(backend, static_cast<std::int64_t>(bytes));
    check(cusparseSpMM_preprocess(handle_, no, no, &one, a_, x_, &zero, y_, CUDA_R_32F, algorithm_,
                                  workspace_.data()));
  }
  ~SparseProduct() {
    if (y_ != nullptr) static_cast<void>(cusparseDestroyDnMat(y_));
    if (x_ != nullptr) static_cast<void>(cusparseDestroyDnMat(x_));
    if (a_ != nullptr) static_cast<void>(cusparseDestroySpMat(a_));
  }
  SparseProduct(const SparseProduct&) = delete;
  SparseProduct& operator=(const SparseProduct&) = delete;

  void run() const {
    check(cusparseSpMM(handle_, no, no, &one, a_, x_, &zero, y_, CUDA_R_32F, algorithm_, workspace_.data()));
  }

 private:
  static constexpr cusparseOperation_t no = CUSPARSE_OPERATION_NON_TRANSPOSE;
  static constexpr float one = 1.0f, zero = 0.0f;

  cusparseHandle_t handle_;
  cusparseSpMMAlg_t algorithm_;
  Buffer<std::byte> workspace_;
  cusparseSpMatDescr_t a_ = nullptr;
  cusparseDnMatDescr_t x_ = nullptr, y_ = nullptr;
};

#else

struct SparseLibrary {
  explicit SparseLibrary(CudaBackend& /*backend*/) {}
};

#endif

/// Two marks on a stream, and the time between them.
class Stopwatch {
 public:
  Stopwatch() {
    check(cudaEventCreate(&start_), "timer", "making an event");
    check(cudaEventCreate(&stop_), "timer", "making an event");
  }
  ~Stopwatch() {
    static_cast<void>(cudaEventDestroy(start_));
    static_cast<void>(cudaEventDestroy(stop_));
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  void start(cudaStream_t stream) { check(cudaEventRecord(start_, stream), "timer", "a mark"); }
  void stop(cudaStream_t stream) { check(cudaEventRecord(stop_, stream), "timer", "a mark"); }
  double seconds() const {
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, start_, stop_), "timer", "reading the time");
    return milliseconds / 1e3;
  }

 private:
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

class CudaDevice final : public Device {
 public:
  CudaDevice() : dense_(backend_), sparse_(backend_) {}

  std::string name() const override { return "cuda"; }
  Backend& backend() override { return backend_; }
  double shortest_timing() const override { return 200e-6; }

  // The calls are recorded and replayed as one graph: between the two marks the host asks for nothing.
  std::function<double()> timer(const std::function<void()>& call, std::int64_t calls) override {
    call();  // what a library does at its first call is not recorded
    backend_.synchronize();
    const std::shared_ptr<CapturedGraph> recording = backend_.capture([&] {
      for (std::int64_t i = 0; i < calls; ++i) call();
    });
    return [this, recording] {
      stopwatch_.start(backend_.stream());
      recording->replay();
      stopwatch_.stop(backend_.stream());
      backend_.synchronize();
      return stopwatch_.seconds();
    };
  }

  void copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, backend_.stream()), "copy", "a copy");
  }

  Yardstick dense_product(ConstMatrixView a, ConstMatrixView b, MatrixView c) override {
    return {"cuBLAS, float32", [=, this] {
              // Column-major, as cuBLAS sees it: C^T = B A^T.
              const float one = 1.0f, zero = 0.0f;
              check(cuda::cublas().gemm_ex(dense_.handle, CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(b.rows),
                                           static_cast<int>(a.rows), static_cast<int>(a.columns), &one,
                                           b.data, CUDA_R_32F, static_cast<int>(b.leading_dimension), a.data,
                                           CUDA_R_32F, static_cast<int>(a.leading_dimension), &zero, c.data,
                                           CUDA_R_32F, static_cast<int>(c.leading_dimension),
                                           CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
            }};
  }

#if defined(SEA_WITH_CUSPARSE)
  Yardstick sparse_product(const CsrView& a, ConstMatrixView x, MatrixView y) override {
    std::vector<std::int64_t> wide(static_cast<std::size_t>(a.rows + 1));
    backend_.copy_to_host(wide.data(), a.row_offsets, wide.size() * sizeof(std::int64_t));
    const std::vector<std::int32_t> narrow(wide.begin(), wide.end());
    const auto offsets = std::make_shared<Buffer<std::int32_t>>(to_device<std::int32_t>(backend_, narrow));
    std::shared_ptr<SparseProduct> best;
    std::string label;
    double best_seconds = std::numeric_limits<double>::infinity();
    for (const auto& [algorithm, number] : {std::pair{CUSPARSE_SPMM_CSR_ALG1, 1},
                                            {CUSPARSE_SPMM_CSR_ALG2, 2},
                                            { CUSPARSE_SPMM_CSR_ALG3,
                                              3 }}) {
      auto product = std::make_shared<SparseProduct>(backend_, sparse_.handle, algorithm, a, wide.back(),
                                                     offsets->data(), x, y);
      const std::function<double()> time = timer([&] { product->run(); }, 10);
      double seconds = time();
      for (int i = 0; i < 4; ++i) seconds = std::min(seconds, time());
      if (seconds >= best_seconds) continue;
      best_seconds = seconds;
      best = std::move(product);
      label = "cuSPARSE, its CSR algorithm " + std::to_string(number) + ", the fastest of 3";
    }
    return {label, [best, offsets] { best->run(); }};
  }
#else
  Yardstick sparse_product(const CsrView& /*a*/, ConstMatrixView /*x*/, MatrixView /*y*/) override {
    throw Unavailable("this was built without cuSPARSE");
  }
#endif

  Yardstick plain_adam(VectorView parameters, ConstVectorView gradients, VectorView first_moment,
                       VectorView second_moment) override {
    return {"a thread per element", [=, this] {
              const auto count = static_cast<std::int64_t>(parameters.size());
              cuda::launch(backend_.stream(), "plain_adam",
                           {dim3(grid_size(blocks_of(count, block_threads))), dim3(block_threads)},
                           &plain_adam_kernel, parameters.data(), gradients.data(), first_moment.data(),
                           second_moment.data(), count);
            }};
  }

  Yardstick brute_force_topk(ConstMatrixView queries, ConstMatrixView keys, std::int64_t /*k*/,
                             const CsrPatternView& excluded) override {
    constexpr std::int64_t most_rows = 512;
    struct Memory {
      Buffer<float> scores, sorted_scores;
      Buffer<std::int32_t> ids, sorted_ids, offsets;
      Buffer<std::byte> workspace;
    };
    const std::int64_t n = keys.rows, values = most_rows * n;
    cuda::require(values <= std::numeric_limits<int>::max(), "brute_force_topk", "too many keys");
    std::vector<std::int32_t> offsets;
    for (std::int64_t i = 0; i <= most_rows; ++i) offsets.push_back(static_cast<std::int32_t>(i * n));
    auto memory = std::make_shared<Memory>();
    memory->scores = Buffer<float>(backend_, values);
    memory->sorted_scores = Buffer<float>(backend_, values);
    memory->ids = Buffer<std::int32_t>(backend_, values);
    memory->sorted_ids = Buffer<std::int32_t>(backend_, values);
    memory->offsets = to_device(backend_, offsets);
    const cudaStream_t stream = backend_.stream();
    const auto sort = [stream, memory = memory.get(), n](void* workspace, std::size_t& bytes,
                                                         std::int64_t rows) {
      check(cub::DeviceSegmentedRadixSort::SortPairsDescending(
                workspace, bytes, memory->scores.data(), memory->sorted_scores.data(), memory->ids.data(),
                memory->sorted_ids.data(), static_cast<int>(rows * n), static_cast<int>(rows),
                memory->offsets.data(), memory->offsets.data() + 1, 0, 32, stream),
            "brute_force_topk", "a sort");
    };
    std::size_t bytes = 0;
    sort(nullptr, bytes, most_rows);
    memory->workspace = Buffer<std::byte>(backend_, static_cast<std::int64_t>(bytes));
    cuda::launch(stream, "brute_force_topk", {dim3(grid_size(most_rows)), dim3(block_threads)},
                 &number_columns_kernel, memory->ids.data(), n);
    return {"product of 512 rows, cub::DeviceSegmentedRadixSort", [=, this] {
              for (std::int64_t first = 0; first < queries.rows; first += most_rows) {
                const std::int64_t rows = std::min(most_rows, queries.rows - first);
                const MatrixView scores = memory->scores.matrix(rows, n);
                backend_.matmul(Transpose::no, Transpose::yes, 1.0f, queries.row_range(first, rows), keys,
                                0.0f, scores);
                cuda::launch(stream, "brute_force_topk", {dim3(grid_size(rows)), dim3(block_threads)},
                             &mask_kernel, scores, excluded.row_range(first, rows));
                std::size_t room = memory->workspace.bytes();
                sort(memory->workspace.data(), room, rows);
              }
            }};
  }

  void softmax_gradient(MatrixView logits, VectorView losses) override {
    cuda::launch(backend_.stream(), "softmax_gradient",
                 {dim3(grid_size(logits.rows)), dim3(block_threads), 32 * sizeof(float)},
                 &softmax_gradient_kernel, logits, losses.data());
  }

 private:
  CudaBackend backend_;
  DenseLibrary dense_;
  SparseLibrary sparse_;
  Stopwatch stopwatch_;
};

}  // namespace

std::unique_ptr<Device> open_cuda_device() {
  if (CudaBackend::device_count() == 0) return nullptr;
  return std::make_unique<CudaDevice>();
}

}  // namespace sea::bench
