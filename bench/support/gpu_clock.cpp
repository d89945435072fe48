#include "support/gpu_clock.hpp"

#if defined(SEA_WITH_CUDA)
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <type_traits>

#include "sea/cuda.hpp"
#endif

namespace sea::bench {

#if defined(SEA_WITH_CUDA)

namespace {

/// The part of NVML that is asked here, loaded: it belongs to the driver, which a machine that builds may
/// lack.
struct ManagementLibrary {
  int (*init)() = nullptr;
  int (*device_by_bus)(const char* bus, void** device) = nullptr;
  int (*clock)(void* device, int type, unsigned* megahertz) = nullptr;

  static const ManagementLibrary* loaded() {
    static const ManagementLibrary library;
    return library.init != nullptr ? &library : nullptr;
  }

 private:
  ManagementLibrary() {
    void* file = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);  // never unloaded
    if (file == nullptr) return;
    const auto find = [file](const char* name, auto& function) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(file, name));
      return function != nullptr;
    };
    const bool complete = find("nvmlDeviceGetHandleByPciBusId_v2", device_by_bus) &&
                          find("nvmlDeviceGetClockInfo", clock) && find("nvmlInit_v2", init);
    if (!complete || init() != 0) init = nullptr;
  }
};

}  // namespace

std::optional<int> multiprocessor_clock(const Backend& backend) {
  constexpr int sm_clock = 1;  // NVML_CLOCK_SM
  if (dynamic_cast<const CudaBackend*>(&backend) == nullptr) return {};
  const ManagementLibrary* library = ManagementLibrary::loaded();
  int number = 0;
  char bus[32];
  void* device = nullptr;
  unsigned megahertz = 0;
  if (library == nullptr || cudaGetDevice(&number) != cudaSuccess ||
      cudaDeviceGetPCIBusId(bus, sizeof bus, number) != cudaSuccess ||
      library->device_by_bus(bus, &device) != 0 || library->clock(device, sm_clock, &megahertz) != 0)
    return {};
  return static_cast<int>(megahertz);
}

#else

std::optional<int> multiprocessor_clock(const Backend& /*backend*/) {
  return {};
}

#endif

}  // namespace sea::bench
