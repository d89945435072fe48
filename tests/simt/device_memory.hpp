#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace sea::simt {

/// Device memory: its own address range. Every allocation ends (up to 63 bytes) where forbidden pages begin,
/// and starts as NaN bytes (above 4 MB: at both ends); no address is ever used twice, so that an access to
/// freed memory faults too. The host cannot reach any of it: pages are open only while device work runs.
class DeviceMemory {
 public:
  DeviceMemory();
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  /// Aligned to 64 bytes and no more. Null where the device is full.
  void* allocate(std::size_t bytes);
  /// False where nothing was allocated at `address`.
  bool free(void* address);
  bool in_allocation(const void* address, std::size_t bytes) const;
  std::size_t free_bytes() const;
  static std::size_t total_bytes();

  /// Opens all pages for device work.
  void open();
  void close();
  /// A sentence on the first allocation whose surroundings were written to; empty where none were.
  std::string overwritten() const;
  /// What lies at `address`, as a sentence; empty where it is no device memory.
  std::string describe(const void* address) const;

 private:
  struct Allocation {
    std::size_t bytes;
    std::byte* pages;  ///< the first of its pages; they end at `end`
    std::byte* end;
  };
  static void protect(const Allocation& allocation, int protection);

  std::byte* range_;
  std::byte* next_;
  bool open_ = false;
  std::size_t allocated_ = 0;
  std::map<std::byte*, Allocation> live_;
  std::map<std::byte*, Allocation> freed_;
};

}  // namespace sea::simt
