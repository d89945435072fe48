#pragma once

#include <string>

#include "common/cuda.cuh"
#include "sea/detail/check.hpp"
#include "sea/detail/scratch.hpp"

namespace sea::cuda {

using sea::detail::blocks_of;
using sea::detail::require;
using sea::detail::Scratch;
using sea::detail::scratch_bytes;

/// Throws Error with the operator's name, what was tried and CUDA's reason, where `status` is not success.
inline void check(cudaError_t status, const char* operator_name, const char* attempt) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // told here, and no error of a later call
  throw Error(std::string(operator_name) + ": " + attempt + " failed: " + cudaGetErrorString(status));
}

}  // namespace sea::cuda
