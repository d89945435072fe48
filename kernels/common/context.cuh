#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "common/blas.cuh"
#include "common/cuda.cuh"
#include "sea/cuda.hpp"

namespace sea::cuda {

/// What a CudaBackend holds. An operator takes its stream, its products and the size of the device from here.
struct Context {
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  /// Gives everything back, also what a constructor of CudaBackend had made before it failed.
  ~Context();

  /// Multiprocessors that a kernel whose blocks must all run at one time may fill: half of them beside the
  /// main stream, for the others' sake.
  int cooperative_multiprocessors() const {
    return current != Stream::main && multiprocessors > 1 ? multiprocessors / 2 : multiprocessors;
  }
  cudaStream_t of(Stream name) const { return streams[static_cast<std::size_t>(name)]; }

  int device = 0;
  int multiprocessors = 0;
  bool owns_stream = false;
  cudaStream_t stream = nullptr;  ///< where operators go now
  Stream current = Stream::main;  ///< which one that is
  std::array<cudaStream_t, stream_count> streams{};
  cudaEvent_t forked = nullptr;                    ///< made when all streams are there
  std::array<cudaEvent_t, stream_count> joined{};  ///< none of the main stream
  bool must_join = false;                          ///< something was forked since the last join
  std::vector<cudaEvent_t> marks;                  ///< null where nothing is noted
  cudaMemPool_t pool = nullptr;
  Blas blas;

  std::size_t allocated = 0;
  std::size_t peak_allocated = 0;
  cudaError_t failed_free = cudaSuccess;  ///< of a deallocation, which cannot throw; the next wait reports it
};

}  // namespace sea::cuda
