#pragma once

#include <optional>

#include "sea/backend.hpp"

namespace sea::bench {

/// The clock of the backend's multiprocessors at this moment, in MHz, from NVIDIA's management library;
/// nothing on the processor, and where the library is not there or refuses.
std::optional<int> multiprocessor_clock(const Backend& backend);

}  // namespace sea::bench
