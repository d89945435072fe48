#include "data/memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>

namespace sea {

std::int64_t available_memory() {
  std::int64_t bytes = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  std::ifstream system("/proc/meminfo");
  std::string name, unit;
  for (std::int64_t kilobytes = 0; system >> name >> kilobytes;) {
    if (name == "MemAvailable:") bytes = kilobytes * 1024;
    std::getline(system, unit);
  }
  // Version 2 of control groups; "max" where nothing is set, which does not read as a number.
  std::int64_t limit = 0, used = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit) {
    std::ifstream("/sys/fs/cgroup/memory.current") >> used;
    bytes = std::min(bytes, std::max<std::int64_t>(limit - used, 0));
  }
  return bytes;
}

std::string bytes_text(std::int64_t bytes) {
  constexpr std::string_view units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < std::size(units); ++unit) value /= 1000;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace sea
