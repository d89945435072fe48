#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "sea/backend.hpp"
#include "sea/detail/check.hpp"
#include "sea/error.hpp"

namespace sea::detail {

/// Bytes that `count` values of type T take in a Workspace, each array starting at a multiple of 64.
template <class T>
constexpr std::size_t scratch_bytes(std::int64_t count) {
  return (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
}

/// Hands out arrays of a Workspace, one after the other.
class Scratch {
 public:
  Scratch(const char* operator_name, Workspace workspace) : name_(operator_name), workspace_(workspace) {
    require(workspace.size == 0 ||
                (workspace.data != nullptr && reinterpret_cast<std::uintptr_t>(workspace.data) % 64 == 0),
            operator_name, "the workspace must be aligned to 64 bytes, and not null");
  }

  template <class T>
  T* take(std::int64_t count) {
    const std::size_t bytes = scratch_bytes<T>(count);
    if (bytes > workspace_.size - used_) {
      throw Error(std::string(name_) + ": the workspace has " + std::to_string(workspace_.size) +
                  " bytes and must have " + std::to_string(used_ + bytes) +
                  " or more; the function beside it whose name ends in _workspace says how many");
    }
    T* pointer = reinterpret_cast<T*>(workspace_.data + used_);
    used_ += bytes;
    return pointer;
  }

 private:
  const char* name_;
  Workspace workspace_;
  std::size_t used_ = 0;
};

/// The number of blocks of `block` that cover `count`.
constexpr std::int64_t blocks_of(std::int64_t count, std::int64_t block) {
  return (count + block - 1) / block;
}

}  // namespace sea::detail
