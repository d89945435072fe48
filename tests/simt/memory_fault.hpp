#pragma once

#include <array>
#include <csignal>
#include <cstddef>

#include "simt/device_memory.hpp"

namespace sea::simt {

/// While it lives, a thread of a kernel that touches forbidden memory ends its launch with a Fault instead of
/// the process with a signal.
class MemoryFaultGuard {
 public:
  explicit MemoryFaultGuard(const DeviceMemory& memory);
  ~MemoryFaultGuard();
  MemoryFaultGuard(const MemoryFaultGuard&) = delete;
  MemoryFaultGuard& operator=(const MemoryFaultGuard&) = delete;

 private:
  std::array<struct sigaction, 3> previous_{};
  stack_t previous_stack_{};
};

}  // namespace sea::simt
