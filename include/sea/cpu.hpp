#pragma once

#include <memory>
#include <string>

#include "sea/backend.hpp"

namespace sea {

class ThreadPool;

/// The operators on the processor: one pool of threads, hand-written vector loops, and single-threaded
/// library products. Device memory is host memory. Results do not depend on the number of threads.
class CpuBackend final : public Backend {
 public:
  /// `threads` >= 1, or 0 for as many as the machine has; throws Error for another number, and where so many
  /// cannot be started. The calling thread is one of them.
  explicit CpuBackend(int threads = 0);
  ~CpuBackend() override;

  int threads() const;
  /// An upper bound on the bytes that may be allocated at one time; a larger request throws Error.
  void set_allocation_limit(std::size_t bytes) { allocation_limit_ = bytes; }

  bool host_readable() const override { return true; }
#include "sea/operators.inc"

 private:
  std::unique_ptr<ThreadPool> pool_;
  std::size_t allocated_ = 0;
  std::size_t peak_allocated_ = 0;
  std::size_t allocation_limit_;
};

}  // namespace sea
