#include "support/device_memory.hpp"

#include "training/peak_memory.hpp"

#if defined(SEA_WITH_CUDA)
#include <cuda_runtime_api.h>

#include <algorithm>

#include "sea/cuda.hpp"
#endif

namespace sea::bench {

DeviceMemory peak_memory([[maybe_unused]] const Backend& backend) {
#if defined(SEA_WITH_CUDA)
  if (const auto* cuda = dynamic_cast<const CudaBackend*>(&backend); cuda != nullptr) {
    DeviceMemory memory;
    memory.library_bytes = static_cast<std::int64_t>(cuda->library_bytes());
    memory.bytes = static_cast<std::int64_t>(cuda->peak_allocated_bytes()) + *memory.library_bytes;
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) == cudaSuccess)
      memory.context_bytes =
          std::max<std::int64_t>(static_cast<std::int64_t>(total - free) - memory.bytes, 0);
    return memory;
  }
#endif
  return {peak_memory_bytes(), {}, {}};
}

}  // namespace sea::bench
