#include "training/peak_memory.hpp"

#include <fstream>
#include <string>

namespace sea {

std::int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  std::string name, rest;
  while (status >> name) {
    std::int64_t kilobytes = 0;
    if (name == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
    std::getline(status, rest);
  }
  return 0;
}

}  // namespace sea
