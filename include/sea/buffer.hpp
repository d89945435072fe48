#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sea/backend.hpp"
#include "sea/error.hpp"

namespace sea {

/// An array of `count` values of T in a backend's memory, freed with it. The backend must live longer. A
/// Buffer that was made without a backend has no elements.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  /// Throws Error where there is not memory enough, as `Backend::allocate` does.
  Buffer(Backend& backend, std::int64_t count)
      : backend_(&backend), data_(static_cast<T*>(backend.allocate(bytes_of(count)))), count_(count) {}
  Buffer(Buffer&& other) noexcept
      : backend_(other.backend_),
        data_(std::exchange(other.data_, nullptr)),
        count_(std::exchange(other.count_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != nullptr) backend_->deallocate(data_, bytes());
  }

  T* data() const { return data_; }
  std::int64_t size() const { return count_; }
  std::size_t bytes() const { return static_cast<std::size_t>(count_) * sizeof(T); }
  std::span<T> span() const { return {data_, static_cast<std::size_t>(count_)}; }
  BasicMatrixView<T> matrix(std::int64_t rows, std::int64_t columns) const { return {data_, rows, columns}; }

  /// Writes zero bytes to all elements. Asynchronous.
  void fill_zero() {
    if (count_ > 0) backend_->fill_zero(data_, bytes());
  }
  /// Copies `values` to the first elements; those after them stay as they are. Throws Error where there are
  /// more values than elements.
  void upload(std::span<const T> values) {
    if (values.size() > static_cast<std::size_t>(count_)) {
      throw Error("a buffer of " + std::to_string(count_) + " elements takes at most as many values, and " +
                  std::to_string(values.size()) + " are uploaded");
    }
    if (!values.empty()) backend_->copy_to_device(data_, values.data(), values.size_bytes());
  }
  /// All elements. Waits for the operators before it.
  std::vector<T> download() const {
    std::vector<T> values(static_cast<std::size_t>(count_));
    if (count_ > 0) backend_->copy_to_host(values.data(), data_, bytes());
    return values;
  }

 private:
  static std::size_t bytes_of(std::int64_t count) {
    if (count < 0 || count > std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(sizeof(T)))
      throw Error("a buffer of " + std::to_string(count) + " elements cannot be: its bytes must fit 63 bits");
    return static_cast<std::size_t>(count) * sizeof(T);
  }

  Backend* backend_ = nullptr;
  T* data_ = nullptr;
  std::int64_t count_ = 0;
};

/// `values` in the backend's memory.
template <class T>
Buffer<T> to_device(Backend& backend, const std::vector<T>& values) {
  Buffer<T> buffer(backend, static_cast<std::int64_t>(values.size()));
  buffer.upload(values);
  return buffer;
}

}  // namespace sea
