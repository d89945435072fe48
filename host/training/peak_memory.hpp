#pragma once

#include <cstdint>

namespace sea {

/// The most bytes this process ever had resident (VmHWM); 0 where the system does not say.
std::int64_t peak_memory_bytes();

}  // namespace sea
