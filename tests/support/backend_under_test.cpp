#include "support/backend_under_test.hpp"

#if defined(SEA_TEST_CPU)
#include "sea/cpu.hpp"
#else
#include "sea/cuda.hpp"
#endif

namespace sea::test {

std::unique_ptr<Backend> backend_under_test() {
#if defined(SEA_TEST_CPU)
  return std::make_unique<CpuBackend>();
#else
  if (CudaBackend::device_count() == 0) return nullptr;
  return std::make_unique<CudaBackend>();
#endif
}

}  // namespace sea::test
