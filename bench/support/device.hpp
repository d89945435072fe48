#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sea/backend.hpp"
#include "sea/error.hpp"

namespace sea::bench {

/// What this machine or build cannot time: it has too little memory, or lacks a library.
class Unavailable : public Error {
 public:
  using Error::Error;
};

/// What a machine reached in this run: no operator can do better than both.
struct Ceilings {
  double bytes_per_second = 0.0;       ///< of a large copy, bytes read and bytes written
  double operations_per_second = 0.0;  ///< floating point, of a large square product by the backend's library
};

/// Somebody else's way to an operator's result.
struct Yardstick {
  std::string label;  ///< what it is: "Eigen 3.4.0"
  std::function<void()> call;
};

/// A backend, its clock, and what its operators are measured against.
class Device {
 public:
  Device() = default;
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  virtual std::string name() const = 0;  ///< "cpu" or "cuda"
  virtual Backend& backend() = 0;
  /// Seconds of a launch that is worth timing: the clock's own error is small beside it.
  virtual double shortest_timing() const = 0;
  /// A function that makes `calls` calls and returns the seconds that the device worked on them, without the
  /// host's time to ask for them.
  virtual std::function<double()> timer(const std::function<void()>& call, std::int64_t calls) = 0;
  /// Copies device memory at the full speed of the device.
  virtual void copy(std::byte* to, const std::byte* from, std::size_t bytes) = 0;

  /// C = A B^T by one call of the library for dense products, in float32.
  virtual Yardstick dense_product(ConstMatrixView a, ConstMatrixView b, MatrixView c) = 0;
  /// Y = A X by a library for sparse products.
  virtual Yardstick sparse_product(const CsrView& a, ConstMatrixView x, MatrixView y) = 0;
  /// Adam as its definition reads, one pass.
  virtual Yardstick plain_adam(VectorView parameters, ConstVectorView gradients, VectorView first_moment,
                               VectorView second_moment) = 0;
  /// All scores by library products of some rows at a time, excluded ones masked, the k largest by a partial
  /// sort or, on a GPU, by a sort.
  virtual Yardstick brute_force_topk(ConstMatrixView queries, ConstMatrixView keys, std::int64_t k,
                                     const CsrPatternView& excluded) = 0;
  /// Turns each row of square `logits` into the gradient of logsumexp(row) - diagonal: softmax minus one at
  /// the diagonal; writes each row's loss.
  virtual void softmax_gradient(MatrixView logits, VectorView losses) = 0;

  /// Measures the ceilings.
  Ceilings measure_ceilings();
};

/// The processor with `threads` threads, 0 for all.
std::unique_ptr<Device> open_cpu_device(int threads);
/// The first GPU; null where this build has no CUDA backend or the machine no GPU.
std::unique_ptr<Device> open_cuda_device();

}  // namespace sea::bench
