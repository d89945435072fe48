#include "efficiency/measurement.hpp"

#if defined(SEA_WITH_CUDA)
#include <cuda_runtime_api.h>
#endif

#include <algorithm>
#include <cstddef>

namespace sea::bench {

std::int64_t context_bytes(std::int64_t allocated) {
#if defined(SEA_WITH_CUDA)
  std::size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  return std::max<std::int64_t>(static_cast<std::int64_t>(total - free) - allocated, 0);
#else
  static_cast<void>(allocated);
  return 0;
#endif
}

}  // namespace sea::bench
