#include <mutex>

#include "common/launch.cuh"

namespace sea::cuda::detail {

cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, kernel);
  if (status != cudaSuccess) return status;
  const auto wanted = static_cast<int>(bytes);
  if (wanted <= attributes.maxDynamicSharedSizeBytes) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, wanted);
}

}  // namespace sea::cuda::detail
