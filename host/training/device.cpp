#include "training/device.hpp"

#include <fmt/format.h>

#include "sea/cpu.hpp"
#include "sea/error.hpp"

namespace sea {

Device open_device(const std::string& name, std::int64_t threads) {
  if (name != "auto" && name != "cpu")
    throw Error(fmt::format("--device {}: this build has no CUDA backend; use --device cpu", name));
  auto backend = std::make_unique<CpuBackend>(static_cast<int>(threads));
  const int count = backend->threads();
  return {std::move(backend), "cpu", count};
}

}  // namespace sea
