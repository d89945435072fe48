#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "sea/backend.hpp"

// As cuda_runtime_api.h declares it, which need not be included for this header.
struct CUstream_st;
typedef struct CUstream_st* cudaStream_t;

namespace sea {

namespace cuda {
struct Context;
}

/// How dense products are computed on the tensor cores, or beside them.
enum class MatmulPrecision {
  float32,  ///< without tensor cores
  tf32x3,   ///< operands split in two TF32 parts, three products: nearly float32
  tf32,     ///< operands rounded to TF32: about three decimal digits
};

struct CudaSettings {
  int device = 0;
  MatmulPrecision matmul_precision = MatmulPrecision::tf32x3;
  /// With tf32x3, products of fewer multiply-adds are done in float32: splitting costs more than it saves.
  double smallest_split_product = 134217728.0;
};

/// The operators on an NVIDIA GPU of compute capability 8.0 or later: hand-written kernels, cuBLAS for dense
/// products. All work goes to one stream, in order, and what is asked for `beside` to a second one; nothing
/// but `copy_to_device`, `copy_to_host` and `synchronize` waits for it. Faults of a kernel are reported
/// there. The device must be the calling thread's current one (the constructor makes it that).
class CudaBackend final : public Backend {
 public:
  /// On a stream of its own. Throws Error where there is no such device.
  explicit CudaBackend(const CudaSettings& settings = {});
  /// On the caller's stream, which must outlive the backend: operators are in order with whatever else the
  /// caller asks of it.
  explicit CudaBackend(cudaStream_t stream, const CudaSettings& settings = {});
  ~CudaBackend() override;

  /// How many devices there are; 0 where there is no driver.
  static int device_count() noexcept;
  cudaStream_t stream() const;
  /// Device memory that libraries hold beside what `allocate` gave.
  std::size_t library_bytes() const;

  std::string description() const override;
  void* allocate(std::size_t bytes) override;
  void deallocate(void* pointer, std::size_t bytes) noexcept override;
  std::size_t allocated_bytes() const override;
  std::size_t peak_allocated_bytes() const override;
  void copy_to_device(void* destination, const void* host_source, std::size_t bytes) override;
  void copy_to_host(void* host_destination, const void* source, std::size_t bytes) override;
  void fill_zero(void* destination, std::size_t bytes) override;
  void synchronize() override;
  void beside(const std::function<void()>& body) override;
  void join() override;
  /// A captured graph. Null on the default stream, which cannot be captured.
  std::unique_ptr<Recording> record(const std::function<void()>& body) override;
  void advance_step(StepState* state, std::int64_t pairs, std::int64_t batch_size) override;
  void sample_batch(const SamplingView& sampling, std::uint64_t seed, const StepState* state,
                    const BatchView& batch) override;
  void sort_batch(const BatchView& batch, std::int64_t users, const StepState* state,
                  const BatchOrderView& order, Workspace workspace) override;
  std::size_t sort_batch_workspace(std::int64_t batch_size) const override;
  void permutation(std::uint64_t seed, RandomPurpose purpose, const StepState* state, std::int64_t size,
                   IndexView output) override;
  void matmul(Transpose transpose_a, Transpose transpose_b, float alpha, ConstMatrixView a, ConstMatrixView b,
              float beta, MatrixView c) override;
  void add(ConstMatrixView a, ConstMatrixView b, MatrixView y) override;
  void scale(float factor, ConstMatrixView x, MatrixView y) override;
  void linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias, MatrixView y) override;
  void linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy, MatrixView dx,
                       MatrixView dweight, VectorView dbias, Workspace workspace) override;
  std::size_t linear_backward_workspace(std::int64_t n, std::int64_t in, std::int64_t out) const override;
  void factored_linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                       std::span<const LinearReader> readers, MatrixView m, MatrixView y,
                       Workspace workspace) override;
  void factored_linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                                std::span<const LinearReader> readers, ConstMatrixView dy, MatrixView dm,
                                std::span<const LinearReaderGradient> gradients, VectorView dbias,
                                Workspace workspace) override;
  void factored_linear_weight_gradient(std::span<const LinearReader> readers, ConstMatrixView dm,
                                       MatrixView dweight, Workspace workspace) override;
  void factored_linear_update(std::span<const LinearReader> readers, ConstMatrixView dm, MatrixView weight,
                              MatrixView first_moment, MatrixView second_moment, const AdamSettings& settings,
                              const StepState* state, Workspace workspace) override;
  std::size_t factored_linear_workspace(std::int64_t n, std::int64_t width, std::int64_t in,
                                        std::int64_t out) const override;
  void leaky_relu(ConstMatrixView x, float slope, MatrixView y) override;
  void leaky_relu_backward(ConstMatrixView y, ConstMatrixView dy, float slope, MatrixView dx) override;
  void batch_norm_relu(ConstMatrixView x, ConstVectorView scale, ConstVectorView shift, float epsilon,
                       VectorView mean, VectorView inverse_deviation, MatrixView y,
                       Workspace workspace) override;
  void batch_norm_relu_backward(ConstMatrixView x, ConstMatrixView y, ConstMatrixView dy,
                                ConstVectorView scale, ConstVectorView mean,
                                ConstVectorView inverse_deviation, MatrixView dx, VectorView dscale,
                                VectorView dshift, Workspace workspace) override;
  std::size_t batch_norm_relu_workspace(std::int64_t rows, std::int64_t columns) const override;
  void row_normalize(ConstMatrixView x, MatrixView y, VectorView inverse_norms) override;
  void row_normalize_backward(ConstMatrixView y, ConstVectorView inverse_norms, ConstMatrixView dy,
                              MatrixView dx) override;
  void cosine_scale(ConstMatrixView x, ConstMatrixView e, MatrixView y) override;
  void cosine_scale_backward(ConstMatrixView x, ConstMatrixView e, ConstMatrixView dy, MatrixView dx,
                             MatrixView de) override;
  void spmm(const CsrView& a, ConstMatrixView x, ConstMatrixView residual, MatrixView y) override;
  void topk_dot(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k, const CsrPatternView& excluded,
                IndexView ids, VectorView scores, Workspace workspace) override;
  std::size_t topk_dot_workspace(std::int64_t queries, std::int64_t keys, std::int64_t width,
                                 std::int64_t k) const override;
  void modality_weight(ConstMatrixView x, ConstMatrixView weight, MatrixView y) override;
  void modality_weight_backward(ConstMatrixView x, ConstMatrixView weight, ConstMatrixView dy, MatrixView dx,
                                MatrixView dweight) override;
  void bpr(ConstMatrixView users, ConstMatrixView items, const BatchView& batch, const BatchOrderView& order,
           const StepState* state, BprSum sum, float weight, float* loss, MatrixView d_users,
           MatrixView d_items, Workspace workspace) override;
  std::size_t bpr_workspace(std::int64_t batch_size, std::int64_t width) const override;
  void embedding_norm(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                      const BatchOrderView& order, const StepState* state, EmbeddingNorm norm, float weight,
                      float* loss, MatrixView d_users, MatrixView d_items, Workspace workspace) override;
  std::size_t embedding_norm_workspace(std::int64_t batch_size) const override;
  void contrastive_alignment(ConstMatrixView text, ConstMatrixView visual, float temperature, bool symmetric,
                             ConstIndexView samples, float weight, float* loss, MatrixView d_text,
                             MatrixView d_visual, Workspace workspace) override;
  std::size_t contrastive_alignment_workspace(std::int64_t n, std::int64_t width,
                                              std::int64_t samples) const override;
  void club(ConstMatrixView generic, ConstMatrixView unique, ConstIndexView permutation,
            const VariationalNetworkView& q, float weight, float* loss, MatrixView d_generic,
            MatrixView d_unique, Workspace workspace) override;
  std::size_t club_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const override;
  void club_fit(std::span<const PairView> pairs, std::int64_t hidden, VectorView parameters,
                VectorView first_moment, VectorView second_moment, const AdamSettings& settings,
                const StepState* state, VectorView losses, Workspace workspace) override;
  std::size_t club_fit_workspace(std::int64_t n, std::int64_t width, std::int64_t hidden) const override;
  void l2_distance(ConstMatrixView generic, ConstMatrixView unique, float weight, float* loss,
                   MatrixView d_generic, MatrixView d_unique, Workspace workspace) override;
  std::size_t l2_distance_workspace(std::int64_t n, std::int64_t width) const override;
  void adam(VectorView parameters, ConstVectorView gradients, VectorView first_moment,
            VectorView second_moment, const AdamSettings& settings, const StepState* state) override;
  void accumulate_losses(VectorView terms, ConstVectorView weights, std::span<double> sums) override;

 private:
  std::unique_ptr<cuda::Context> context_;
};

}  // namespace sea
