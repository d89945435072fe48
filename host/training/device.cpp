#include "training/device.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "training/auto_device.hpp"

#if defined(SEA_WITH_CUDA)
#include "sea/cuda.hpp"
#endif

namespace sea {

namespace {

Device open_cpu(std::int64_t threads) {
  auto backend = std::make_unique<CpuBackend>(static_cast<int>(threads));
  const int count = backend->threads();
  return {std::move(backend), "cpu", count};
}

#if defined(SEA_WITH_CUDA)

Device open_cuda(int number, const std::string& matmul_precision) {
  CudaSettings settings;
  settings.device = number;
  settings.matmul_precision = matmul_precision == "float32"  ? MatmulPrecision::float32
                              : matmul_precision == "tf32x3" ? MatmulPrecision::tf32x3
                              : matmul_precision == "tf32"   ? MatmulPrecision::tf32
                                                             : MatmulPrecision::fp16x3;
  auto backend = std::make_unique<CudaBackend>(settings);
  const auto peak_memory = [&cuda = *backend] {
    return static_cast<std::int64_t>(cuda.peak_allocated_bytes() + cuda.library_bytes());
  };
  return {std::move(backend), fmt::format("cuda:{}", number), 1, peak_memory};
}

/// N of cuda:N, 0 for cuda alone.
int device_number(const std::string& name) {
  int number = 0;
  const std::size_t colon = name.find(':');
  if (colon == std::string::npos) return number;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + colon + 1, end, number);
  if (error != std::errc() || rest != end) {
    throw Error(fmt::format("--device {}: after the colon comes the number of a GPU", name));
  }
  return number;
}

#endif

}  // namespace

void require_device(const std::string& name) {
  if (name == "cpu" || name == "auto") return;
#if defined(SEA_WITH_CUDA)
  const int devices = CudaBackend::device_count(), number = device_number(name);
  if (devices == 0) throw Error(fmt::format("--device {}: no CUDA GPU is there; use --device cpu", name));
  if (number < 0 || number >= devices) {
    throw Error(
        fmt::format("--device {}: there is no such GPU; there are {}, counted from 0", name, devices));
  }
#else
  throw Error(fmt::format("--device {}: this build has no CUDA backend; use --device cpu", name));
#endif
}

Device open_device(const std::string& name, std::int64_t threads,
                   [[maybe_unused]] const std::string& matmul_precision) {
  require_device(name);
  if (name == "cpu") return open_cpu(threads);
#if defined(SEA_WITH_CUDA)
  if (name == "auto") {
    return open_auto(
        CudaBackend::device_count(), [&] { return open_cuda(0, matmul_precision); },
        [&] { return open_cpu(threads); });
  }
  return open_cuda(device_number(name), matmul_precision);
#else
  return open_cpu(threads);
#endif
}

}  // namespace sea
