#include "simt/device_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "simt/sanitizer.hpp"

namespace sea::simt {

namespace {

constexpr std::size_t range_bytes = std::size_t{1} << 38;  // addresses, not memory
constexpr std::size_t device_bytes = std::size_t{8} << 30;
constexpr std::size_t alignment = 64;
constexpr std::size_t remembered = 4096;

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// Large memory only at both ends: pages that nobody touches cost nothing to open and to close.
void fill_with_garbage(std::byte* first, std::size_t bytes) {
  constexpr std::size_t large = std::size_t{4} << 20, end = std::size_t{64} << 10;
  if (bytes <= large) {
    std::memset(first, 0xFF, bytes);
  } else {
    std::memset(first, 0xFF, end);
    std::memset(first + bytes - end, 0xFF, end);
  }
}

bool all_garbage(const std::byte* first, const std::byte* last) {
  return std::all_of(first, last, [](std::byte value) { return value == std::byte{0xFF}; });
}

std::string count_of_bytes(std::ptrdiff_t count) {
  return std::to_string(count) + (count == 1 ? " byte" : " bytes");
}

}  // namespace

DeviceMemory::DeviceMemory() {
  void* range = mmap(nullptr, range_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) throw std::bad_alloc();
  range_ = static_cast<std::byte*>(range);
  next_ = range_ + page_bytes();
}

DeviceMemory::~DeviceMemory() {
  for (const auto& [address, allocation] : live_) {
    unpoison(allocation.pages, static_cast<std::size_t>(allocation.end - allocation.pages));
  }
  munmap(range_, range_bytes);
}

std::size_t DeviceMemory::total_bytes() {
  return device_bytes;
}

std::size_t DeviceMemory::free_bytes() const {
  return device_bytes - allocated_;
}

void DeviceMemory::protect(const Allocation& allocation, int protection) {
  mprotect(allocation.pages, static_cast<std::size_t>(allocation.end - allocation.pages), protection);
}

void* DeviceMemory::allocate(std::size_t bytes) {
  if (bytes > free_bytes()) return nullptr;  // and rounding up does not come round to 0
  const std::size_t used = round_up(std::max<std::size_t>(bytes, 1), alignment);
  const std::size_t pages = round_up(used, page_bytes());
  if (used > free_bytes() || pages + page_bytes() > static_cast<std::size_t>(range_ + range_bytes - next_)) {
    return nullptr;
  }
  const Allocation allocation{bytes, next_, next_ + pages};
  next_ += pages + page_bytes();
  protect(allocation, PROT_READ | PROT_WRITE);
  fill_with_garbage(allocation.pages, pages);
  std::byte* address = allocation.end - used;
  poison(allocation.pages, pages - used);
  poison(address + bytes, used - bytes);
  if (!open_) protect(allocation, PROT_NONE);
  live_.emplace(address, allocation);
  allocated_ += used;
  return address;
}

bool DeviceMemory::free(void* address) {
  const auto found = live_.find(static_cast<std::byte*>(address));
  if (found == live_.end()) return false;
  const Allocation& allocation = found->second;
  const auto pages = static_cast<std::size_t>(allocation.end - allocation.pages);
  unpoison(allocation.pages, pages);
  madvise(allocation.pages, pages, MADV_DONTNEED);
  protect(allocation, PROT_NONE);
  allocated_ -= static_cast<std::size_t>(allocation.end - found->first);
  if (freed_.size() == remembered) freed_.erase(freed_.begin());
  freed_.insert(live_.extract(found));
  return true;
}

bool DeviceMemory::in_allocation(const void* address, std::size_t bytes) const {
  const auto* first = static_cast<const std::byte*>(address);
  auto found = live_.upper_bound(const_cast<std::byte*>(first));
  if (found == live_.begin()) return false;
  --found;
  return first + bytes <= found->first + found->second.bytes;
}

void DeviceMemory::open() {
  open_ = true;
  for (const auto& [address, allocation] : live_) protect(allocation, PROT_READ | PROT_WRITE);
}

void DeviceMemory::close() {
  open_ = false;
  for (const auto& [address, allocation] : live_) protect(allocation, PROT_NONE);
}

std::string DeviceMemory::overwritten() const {
  if (address_sanitizer) return {};  // it has reported the write itself
  for (const auto& [address, allocation] : live_) {
    if (!all_garbage(allocation.pages, address)) {
      return "wrote before an allocation of " + std::to_string(allocation.bytes) + " bytes";
    }
    if (!all_garbage(address + allocation.bytes, allocation.end)) {
      return "wrote beyond an allocation of " + std::to_string(allocation.bytes) + " bytes";
    }
  }
  return {};
}

std::string DeviceMemory::describe(const void* address) const {
  const auto* byte = static_cast<const std::byte*>(address);
  if (byte < range_ || byte >= range_ + range_bytes) return {};
  const auto owner = [&](const std::map<std::byte*, Allocation>& allocations) {
    auto found = allocations.upper_bound(const_cast<std::byte*>(byte));
    return found == allocations.begin() ? allocations.end() : --found;
  };
  const auto live = owner(live_), freed = owner(freed_);
  const bool was_freed = freed != freed_.end() && (live == live_.end() || live->first < freed->first);
  if (!was_freed && live == live_.end()) return "an access to device memory that was never allocated";
  const auto& [start, allocation] = was_freed ? *freed : *live;
  const std::string which = "an allocation of " +
                            count_of_bytes(static_cast<std::ptrdiff_t>(allocation.bytes)) +
                            (was_freed ? " that has been freed" : "");
  const std::byte* end = start + allocation.bytes;
  return byte < end ? "an access to " + which
                    : "an access " + count_of_bytes(byte - end) + " past the end of " + which;
}

}  // namespace sea::simt
