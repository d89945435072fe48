#pragma once

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
  struct sigaction previous_segv_ {};
  struct sigaction previous_bus_ {};
  stack_t previous_stack_{};
};

}  // namespace sea::simt
