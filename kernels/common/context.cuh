#pragma once

#include <cstddef>

#include "common/blas.cuh"
#include "common/cuda.cuh"
#include "sea/cuda.hpp"

namespace sea::cuda {

/// What a CudaBackend holds. An operator takes its stream, its products and the size of the device from here.
struct Context {
  /// Multiprocessors that a kernel whose blocks must all run at one time may fill: half of them in a fork,
  /// for the others' sake.
  int cooperative_multiprocessors() const {
    return in_fork && multiprocessors > 1 ? multiprocessors / 2 : multiprocessors;
  }

  int device = 0;
  int multiprocessors = 0;
  bool owns_stream = false;
  cudaStream_t stream = nullptr;  ///< where operators go; the second one while a fork is asked for
  cudaStream_t second_stream = nullptr;
  cudaEvent_t forked = nullptr, joined = nullptr;
  bool in_fork = false;    ///< while a fork is asked for
  bool must_join = false;  ///< a fork since the last join
  cudaMemPool_t pool = nullptr;
  Blas blas;

  std::size_t allocated = 0;
  std::size_t peak_allocated = 0;
  cudaError_t failed_free = cudaSuccess;  ///< of a deallocation, which cannot throw; the next wait reports it
};

}  // namespace sea::cuda
