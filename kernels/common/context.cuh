#pragma once

#include <cstddef>

#include "common/blas.cuh"
#include "common/cuda.cuh"
#include "sea/cuda.hpp"

namespace sea::cuda {

/// What a CudaBackend holds. An operator takes its stream, its products and the size of the device from here.
struct Context {
  int device = 0;
  int multiprocessors = 0;
  bool owns_stream = false;
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
  Blas blas;

  std::size_t allocated = 0;
  std::size_t peak_allocated = 0;
  cudaError_t failed_free = cudaSuccess;  ///< of a deallocation, which cannot throw; the next wait reports it
};

}  // namespace sea::cuda
