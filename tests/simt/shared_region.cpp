#include "simt/shared_region.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "simt/sanitizer.hpp"

namespace sea::simt {

namespace {

constexpr std::size_t capacity = 256 * 1024;
constexpr std::size_t guard = 64 * 1024;

}  // namespace

SharedRegion::SharedRegion() : bytes_(0) {
  void* mapping = mmap(nullptr, capacity + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  data_ = mapping_ + capacity;
}

SharedRegion::~SharedRegion() {
  unpoison(mapping_, capacity);
  munmap(mapping_, capacity + guard);
}

void SharedRegion::prepare(std::size_t bytes) {
  const std::size_t rounded = (bytes + 15) / 16 * 16;
  data_ = mapping_ + capacity - rounded;
  if (bytes != bytes_) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t closed = (capacity - rounded) / page * page;
    unpoison(mapping_, capacity);
    mprotect(mapping_, closed, PROT_NONE);
    mprotect(mapping_ + closed, capacity - closed, PROT_READ | PROT_WRITE);
    std::memset(mapping_ + closed, 0xFF, capacity - closed);
    poison(mapping_ + closed, capacity - rounded - closed);
    poison(data_ + bytes, rounded - bytes);
    bytes_ = bytes;
  }
  std::memset(data_, 0xFF, bytes);
}

bool SharedRegion::in_guard(const void* address) const {
  const auto* byte = static_cast<const std::byte*>(address);
  return byte >= mapping_ && byte < mapping_ + capacity + guard;
}

SharedRegion& SharedRegions::at(std::size_t slot) {
  while (regions_.size() <= slot) regions_.push_back(std::make_unique<SharedRegion>());
  return *regions_[slot];
}

}  // namespace sea::simt
