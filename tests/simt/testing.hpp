#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/launch.cuh"
#include "support/catch.hpp"

namespace sea::simt::test {

/// A stream that ends with its scope.
class Stream {
 public:
  Stream() { REQUIRE(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking) == cudaSuccess); }
  ~Stream() {
    static_cast<void>(cudaStreamSynchronize(stream_));
    static_cast<void>(cudaStreamDestroy(stream_));
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

  /// Waits. What the work on the stream did wrong; empty where it did nothing wrong.
  std::string fault() const {
    return cudaStreamSynchronize(stream_) == cudaSuccess ? std::string()
                                                         : cudaGetErrorString(cudaErrorLaunchFailure);
  }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event() { REQUIRE(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming) == cudaSuccess); }
  ~Event() { static_cast<void>(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Device memory of one stream.
template <class T>
class DeviceArray {
 public:
  /// Not initialised.
  DeviceArray(const Stream& stream, std::size_t count) : stream_(stream), count_(count) {
    void* pointer = nullptr;
    REQUIRE(cudaMallocAsync(&pointer, count * sizeof(T), stream) == cudaSuccess);
    data_ = static_cast<T*>(pointer);
  }
  DeviceArray(const Stream& stream, const std::vector<T>& values) : DeviceArray(stream, values.size()) {
    REQUIRE(cudaMemcpyAsync(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice, stream) ==
            cudaSuccess);
  }
  ~DeviceArray() { static_cast<void>(cudaFreeAsync(data_, stream_)); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  /// Waits for the stream.
  std::vector<T> download() const {
    std::vector<T> values(count_);
    REQUIRE(cudaMemcpyAsync(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost, stream_) ==
            cudaSuccess);
    REQUIRE(stream_.fault().empty());
    return values;
  }

 private:
  const Stream& stream_;
  std::size_t count_;
  T* data_ = nullptr;
};

/// All results that `run()` has under the schedules of 24 seeds: one where the kernels are right.
template <class Run>
auto results_of_schedules(const Run& run) {
  std::set<decltype(run())> results;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    set_schedule_seed(seed);
    results.insert(run());
  }
  return results;
}

inline bool contains(const std::string& text, const std::string& part) {
  INFO("message: " << text);
  return text.find(part) != std::string::npos;
}

}  // namespace sea::simt::test
