#include "training/auto_device.hpp"

#include <fmt/format.h>

#include "sea/error.hpp"

namespace sea {

Device open_auto(int gpus, const std::function<Device()>& open_gpu, const std::function<Device()>& open_cpu) {
  if (gpus == 0) return open_cpu();
  try {
    return open_gpu();
  } catch (const Error& error) {
    Device device = open_cpu();
    device.notice = fmt::format("--device auto: computing on the processor, since the GPU cannot be used: {}",
                                error.what());
    return device;
  }
}

}  // namespace sea
