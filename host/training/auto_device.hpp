#pragma once

#include <functional>

#include "training/device.hpp"

namespace sea {

/// What `--device auto` means: the first of `gpus` GPUs, else the processor. A GPU that cannot be opened is
/// as good as none to whoever asked for none, but it is said.
Device open_auto(int gpus, const std::function<Device()>& open_gpu, const std::function<Device()>& open_cpu);

}  // namespace sea
