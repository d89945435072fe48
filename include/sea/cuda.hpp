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
  fp16x3,   ///< as tf32x3, but where products are large operands are split in two scaled halves
};

struct CudaSettings {
  int device = 0;
  MatmulPrecision matmul_precision = MatmulPrecision::fp16x3;
};

/// The operators on an NVIDIA GPU of compute capability 8.0 or later with 120 KB of shared memory per block,
/// such as an A100, H100, H200 or B200: hand-written kernels, and cuBLAS for dense products that are not
/// split. All work goes to one stream, in order, but for what is asked of another one by `on_stream`; nothing
/// but `copy_to_device`, `copy_to_host` and `synchronize` waits for it. Faults of a kernel are reported
/// there. The device must be the calling thread's current one (the constructor makes it that). Dense products
/// take 64 MiB of device memory on each stream (32 MiB where cuBLAS computes them), on the main one in the
/// constructor, on another at its first product, and keep it as long as the backend lives; `allocated_bytes`
/// leaves that out, `library_bytes` counts it.
///
/// Memory that is allocated inside of `on_stream` is that stream's at once, the main one's after a join, the
/// third one's after a join and a fork. It may be given back inside and outside: that is done after all that
/// was asked of every stream so far.
class CudaBackend final : public Backend {
 public:
  /// On a stream of its own. Throws Error where there is no such device or it lacks what is needed (see
  /// above), where its memory does not suffice, where cuBLAS is needed (`float32` and `tf32`) and cannot be
  /// loaded, and where a call of CUDA or cuBLAS fails; then nothing of what was made stays, but what the
  /// driver itself holds of the device for this process.
  explicit CudaBackend(const CudaSettings& settings = {});
  /// On the caller's stream, one of `settings.device` or the default one, which must outlive the backend:
  /// operators are in order with whatever else the caller asks of it. Throws as above, and where the stream
  /// is another device's.
  explicit CudaBackend(cudaStream_t stream, const CudaSettings& settings = {});
  ~CudaBackend() override;

  /// How many devices there are; 0 where there is no driver.
  static int device_count() noexcept;
  cudaStream_t stream() const;
  /// Device memory that dense products hold beside what `allocate` gave.
  std::size_t library_bytes() const;

  bool has_streams() const override { return true; }
  void on_stream(Stream stream, const std::function<void()>& body) override;
  void fork() override;
  void join() override;
  void mark(Stream stream, int number) override;
  void wait(Stream stream, int number) override;
  /// A captured graph. Null on the default stream, which cannot be captured. It begins after all that was
  /// asked before `capture`, on all streams; marks of `body` mean nothing outside of it.
  std::unique_ptr<CapturedGraph> capture(const std::function<void()>& body) override;
#include "sea/operators.inc"

 private:
  std::unique_ptr<cuda::Context> context_;
};

}  // namespace sea
