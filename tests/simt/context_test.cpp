// What a CudaBackend holds of the device, and that nothing of it stays: after its destructor, or after a
// constructor that failed.

#include <functional>
#include <memory>

#include "sea/buffer.hpp"
#include "sea/cuda.hpp"
#include "simt/device.hpp"
#include "simt/testing.hpp"
#include "support/files.hpp"

using namespace sea;
using sea::test::error_of;

namespace {

std::size_t bytes_held() {
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);  // memory is given back when its stream gets there
  return simt::DeviceMemory::total_bytes() - simt::Device::instance().memory.free_bytes();
}

/// In words, so that a failure says what stayed.
std::string held() {
  const simt::Device& device = simt::Device::instance();
  return std::to_string(bytes_held()) + " bytes, " + std::to_string(device.streams.size()) + " streams, " +
         std::to_string(device.events.size()) + " events, " + std::to_string(device.pools.size()) +
         " pools, " + std::to_string(device.library_handles) + " library handles";
}

/// Lets each call fail in turn that `attempt` makes; the number of those that it then reported.
int failures_of(const std::function<void()>& attempt, const std::function<void()>& after_failure) {
  constexpr int many = 100;
  for (int call = 1; call < many; ++call) {
    INFO("the call that fails: " << call);
    simt::fail_call(static_cast<std::uint64_t>(call));
    const std::string message = error_of(attempt);
    simt::fail_call(0);
    if (message.empty()) return call - 1;
    CHECK(simt::test::contains(message, "CudaBackend: "));
    after_failure();
  }
  return many;
}

constexpr MatmulPrecision precisions[] = {MatmulPrecision::float32, MatmulPrecision::tf32x3,
                                          MatmulPrecision::tf32, MatmulPrecision::fp16x3};

CudaSettings with(MatmulPrecision precision) {
  CudaSettings settings;
  settings.matmul_precision = precision;
  return settings;
}

/// A product on the stream that is chosen.
void multiply(CudaBackend& backend, const Buffer<float>& x, const Buffer<float>& y) {
  backend.matmul(Transpose::no, Transpose::no, 1.0f, x.matrix(4, 4), x.matrix(4, 4), 0.0f, y.matrix(4, 4));
}

}  // namespace

TEST_CASE("a CudaBackend gives everything back, whatever was asked of it") {
  const std::string before = held();
  for (const MatmulPrecision precision : precisions) {
    {
      CudaBackend backend(with(precision));
      const Buffer<float> x(backend, 16), y(backend, 16);
      backend.fill_zero(x.data(), x.bytes());
      backend.fork();
      backend.on_stream(Stream::beside, [&] { multiply(backend, x, y); });
      backend.mark(Stream::beside, 3);
      backend.wait(Stream::narrow, 3);
      backend.on_stream(Stream::narrow, [&] { multiply(backend, x, y); });
      const auto marked = [&] {
        backend.mark(Stream::main, 1);
        backend.wait(Stream::narrow, 1);
      };
      CHECK(backend.capture(marked) != nullptr);
      CHECK(held() != before);
    }
    CHECK(held() == before);
  }
}

TEST_CASE("a CudaBackend whose constructor fails, at whichever call, leaves nothing behind") {
  const simt::test::Stream stream;
  const std::string before = held();
  const auto nothing_stays = [&] { CHECK(held() == before); };
  for (const MatmulPrecision precision : precisions) {
    INFO("precision " << static_cast<int>(precision));
    // A pool and its attribute, the priorities, three streams (or two, and a record on the caller's), three
    // events, the workspace; a handle, its stream and its workspace.
    const bool by_library = precision == MatmulPrecision::float32 || precision == MatmulPrecision::tf32;
    const int calls = by_library ? 13 : 10;
    CHECK(failures_of([&] { CudaBackend backend(with(precision)); }, nothing_stays) == calls);
    CHECK(failures_of([&] { CudaBackend backend(stream, with(precision)); }, nothing_stays) == calls);
    nothing_stays();
  }
}

TEST_CASE("a stream's first product that failed takes no more memory when it is asked for again") {
  for (const MatmulPrecision precision : precisions) {
    CudaBackend backend(with(precision));
    const Buffer<float> x(backend, 16), y(backend, 16);
    backend.fill_zero(x.data(), x.bytes());
    backend.fork();
    const std::size_t one = backend.library_bytes(), without = bytes_held();
    const auto product = [&] { backend.on_stream(Stream::beside, [&] { multiply(backend, x, y); }); };
    failures_of(product, [] {});
    CHECK(backend.library_bytes() == 2 * one);
    CHECK(bytes_held() == without + one);
  }
}

TEST_CASE("CudaBackend refuses a stream that is none of its device") {
  const std::string before = held();
  int none = 0;
  const auto stream = reinterpret_cast<cudaStream_t>(&none);
  CHECK(error_of([&] { CudaBackend backend(stream); }) ==
        "CudaBackend: the stream is not one of CUDA device 0");
  CHECK(held() == before);
}

TEST_CASE("a batch that is too large to sort is refused in the operator's name") {
  const CudaBackend backend;
  CHECK(error_of([&] { static_cast<void>(backend.sort_batch_workspace(std::int64_t{1} << 30)); }) ==
        "sort_batch: fewer than 2^31 pairs can be sorted");
}
