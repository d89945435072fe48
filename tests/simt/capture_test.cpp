// Captured graphs of two streams: right ones, and ones with a fault.

#include "simt/testing.hpp"

using namespace sea::simt::test;
using sea::cuda::launch;

namespace {

struct State {
  std::int64_t step;
};

const sea::cuda::Grid one_warp{dim3(1), dim3(32)};

__global__ void set_kernel(const State* state, int* x) {
  if (threadIdx.x == 0) *x = 10 + static_cast<int>(state->step);
}
__global__ void double_kernel(const int* x, int* y) {
  if (threadIdx.x == 0) *y = 2 * *x;
}
__global__ void add_kernel(const int* x, const int* y, int* z) {
  if (threadIdx.x == 0) *z = *x + *y;
}
__global__ void append_kernel(const State* state, const int* z, int* log) {
  if (threadIdx.x == 0) log[state->step] = *z;
}
__global__ void append_frozen_kernel(std::int64_t step, const int* z, int* log) {
  if (threadIdx.x == 0) log[step] = *z;
}
__global__ void advance_kernel(State* state) {
  if (threadIdx.x == 0) state->step += 1;
}

enum class Fault { none, early_fork, late_join, late_reader, frozen_value };

constexpr std::int64_t steps = 4;

/// Steps of z = x + 2 x, the product on a second stream, each z appended to a log. Nothing that changes
/// between steps is a value of the host, but where `fault` says so.
class Steps {
 public:
  Steps(bool captured, Fault fault) : captured_(captured), fault_(fault) {}

  std::vector<int> run() {
    std::int64_t done = 0;
    if (!captured_) {
      for (; done < steps; ++done) step(done);
      return log_.download();
    }
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    REQUIRE(cudaStreamBeginCapture(main_, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    step(done);
    REQUIRE(cudaStreamEndCapture(main_, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable, graph) == cudaSuccess);
    for (; done < steps; ++done) REQUIRE(cudaGraphLaunch(executable, main_) == cudaSuccess);
    std::vector<int> log = log_.download();
    CHECK(cudaGraphExecDestroy(executable) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
    return log;
  }

 private:
  void fork() {
    REQUIRE(cudaEventRecord(forked_, main_) == cudaSuccess);
    REQUIRE(cudaStreamWaitEvent(side_, forked_) == cudaSuccess);
  }
  void join() {
    REQUIRE(cudaEventRecord(joined_, side_) == cudaSuccess);
    REQUIRE(cudaStreamWaitEvent(main_, joined_) == cudaSuccess);
  }

  void step(std::int64_t number) {
    if (fault_ == Fault::early_fork) fork();
    launch(main_, "set", one_warp, &set_kernel, state_.data(), x_.data());
    if (fault_ != Fault::early_fork) fork();
    launch(side_, "double", one_warp, &double_kernel, x_.data(), y_.data());
    if (fault_ != Fault::late_join) join();
    launch(main_, "add", one_warp, &add_kernel, x_.data(), y_.data(), z_.data());
    if (fault_ == Fault::late_join) join();
    if (fault_ == Fault::late_reader) fork();
    if (fault_ == Fault::frozen_value) {
      launch(main_, "append", one_warp, &append_frozen_kernel, number, z_.data(), log_.data());
    } else {
      launch(fault_ == Fault::late_reader ? side_ : main_, "append", one_warp, &append_kernel, state_.data(),
             z_.data(), log_.data());
    }
    launch(main_, "advance", one_warp, &advance_kernel, state_.data());
    if (fault_ == Fault::late_reader) join();
  }

  bool captured_;
  Fault fault_;
  Stream main_, side_;
  Event forked_, joined_;
  DeviceArray<State> state_{main_, std::vector<State>{{0}}};
  DeviceArray<int> x_{main_, std::vector<int>{-1000}};
  DeviceArray<int> y_{main_, std::vector<int>{-100}};
  DeviceArray<int> z_{main_, std::vector<int>{-10}};
  DeviceArray<int> log_{main_, std::vector<int>(steps + 1, -1)};
};

std::set<std::vector<int>> results(bool captured, Fault fault) {
  return results_of_schedules([=] { return Steps(captured, fault).run(); });
}

const std::set<std::vector<int>> expected{{30, 33, 36, 39, -1}};

}  // namespace

TEST_CASE("a captured step on two streams, replayed, does what the steps do one by one") {
  CHECK(results(false, Fault::none) == expected);
  CHECK(results(true, Fault::none) == expected);
}

TEST_CASE("a deleted edge between two streams shows as a result that depends on the schedule") {
  const Fault fault = GENERATE(Fault::early_fork, Fault::late_join, Fault::late_reader);
  const bool captured = GENERATE(false, true);
  INFO("fault " << static_cast<int>(fault) << (captured ? ", captured" : ", not captured"));
  CHECK(results(captured, fault).size() > 1);
}

TEST_CASE("a host value frozen at capture shows as soon as the graph is replayed") {
  CHECK(results(false, Fault::frozen_value) == expected);
  CHECK(results(true, Fault::frozen_value) == std::set<std::vector<int>>{{39, -1, -1, -1, -1}});
}

TEST_CASE("a captured stream that is not joined is refused") {
  const Stream main, side;
  const Event forked;
  const DeviceArray<int> x(main, std::vector<int>{1}), y(main, 1);
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  REQUIRE(cudaEventRecord(forked, main) == cudaSuccess);
  REQUIRE(cudaStreamWaitEvent(side, forked) == cudaSuccess);
  launch(side, "double", one_warp, &double_kernel, x.data(), y.data());
  CHECK(cudaStreamEndCapture(main, &graph) == cudaErrorStreamCaptureUnjoined);
  CHECK(main.fault().empty());
}

TEST_CASE("what may not happen while a stream is captured is refused") {
  const Stream stream;
  const DeviceArray<int> x(stream, std::vector<int>{1});
  cudaGraph_t graph = nullptr;
  void* pointer = nullptr;
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaMallocAsync(&pointer, 64, stream) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaFreeAsync(x.data(), stream) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}
