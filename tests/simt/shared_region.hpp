#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace sea::simt {

/// The shared memory of one block: ends where forbidden pages begin, and starts as NaN bytes.
class SharedRegion {
 public:
  SharedRegion();
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  void prepare(std::size_t bytes);
  std::byte* data() const { return data_; }
  bool in_guard(const void* address) const;

 private:
  std::byte* mapping_;
  std::byte* data_ = nullptr;
  std::size_t bytes_;
};

class SharedRegions {
 public:
  SharedRegion& at(std::size_t slot);
  std::size_t size() const { return regions_.size(); }

 private:
  std::vector<std::unique_ptr<SharedRegion>> regions_;
};

}  // namespace sea::simt
