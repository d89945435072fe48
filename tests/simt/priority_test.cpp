// What runs on the narrow stream goes before the work beside it, also in a captured graph.

#include <functional>

#include "sea/buffer.hpp"
#include "sea/cuda.hpp"
#include "simt/device.hpp"
#include "simt/testing.hpp"

using namespace sea;

namespace {

/// Pieces of work of each priority that `call` brings about.
std::map<int, std::uint64_t> work_of(CudaBackend& backend, const std::function<void()>& call) {
  backend.synchronize();
  std::map<int, std::uint64_t>& done = simt::Device::instance().done_by_priority;
  done.clear();
  call();
  backend.synchronize();
  return done;
}

}  // namespace

TEST_CASE("the narrow stream has the greatest priority, captured or not") {
  int least = 0, greatest = 0;
  REQUIRE(cudaDeviceGetStreamPriorityRange(&least, &greatest) == cudaSuccess);
  REQUIRE(greatest < least);
  CudaBackend backend;
  const Buffer<float> x(backend, 40), y(backend, 40), z(backend, 40);
  const auto body = [&] {
    backend.fill_zero(x.data(), x.bytes());
    backend.fork();
    backend.on_stream(Stream::narrow, [&] { backend.fill_zero(y.data(), y.bytes()); });
    backend.on_stream(Stream::beside, [&] { backend.fill_zero(z.data(), z.bytes()); });
    backend.join();
    backend.fill_zero(y.data(), y.bytes());
  };
  const std::map<int, std::uint64_t> expected{{0, 3}, {greatest, 1}};
  CHECK(work_of(backend, body) == expected);
  const std::unique_ptr<CapturedGraph> graph = backend.capture(body);
  CHECK(work_of(backend, [&] { graph->replay(); }) == expected);
}
