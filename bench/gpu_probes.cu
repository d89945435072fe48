// Measures on a GPU what bench/support/h200_model.py assumes of one: the numbers that the predicted times
// rest on. A line a number: its name, what was measured, what the model has.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/check.cuh"
#include "common/launch.cuh"

namespace sea::bench {

namespace {

using cuda::check;
using cuda::grid_size;
using cuda::launch;

constexpr const char* name = "gpu_probes";

// As bench/support/h200_model.py has them; bench/sass_report_test compares.
constexpr int model_multiprocessors = 132;
constexpr double model_ghz = 1.75, model_hmma_cycles = 6.15, model_gap_us = 1.2, model_grid_barrier_us = 1.5,
                 model_l2_bytes_us = 5.5e6, model_memory_bytes_us = 4.0e6;

/// Device memory, with whatever is in it.
class Memory {
 public:
  explicit Memory(std::size_t bytes) { check(cudaMalloc(&data_, bytes), name, "an allocation"); }
  ~Memory() { static_cast<void>(cudaFree(data_)); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
};

struct Machine {
  cudaStream_t main = nullptr, narrow = nullptr;
  int multiprocessors = 0;
};

/// Microseconds of what `body` asks of a stream: the median of five.
double microseconds(cudaStream_t stream, const std::function<void()>& body) {
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), name, "making an event");
  check(cudaEventCreate(&end), name, "making an event");
  std::vector<double> times;
  for (int i = 0; i < 6; ++i) {
    check(cudaEventRecord(begin, stream), name, "recording an event");
    body();
    check(cudaEventRecord(end, stream), name, "recording an event");
    check(cudaEventSynchronize(end), name, "waiting for the device");
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, begin, end), name, "reading the time");
    if (i > 0) times.push_back(milliseconds * 1e3);  // the first one warms up
  }
  check(cudaEventDestroy(begin), name, "giving back an event");
  check(cudaEventDestroy(end), name, "giving back an event");
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void report(const std::string& what, double measured, double predicted) {
  std::printf("%s %.4g %.4g\n", what.c_str(), measured, predicted);
  std::fflush(stdout);
}

// ---- tensor cores

constexpr int chains = 8, hmma_threads = 512;

__device__ void mma(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], bool half) {
  if (half) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

/// Independent products in every warp; cycles of the first block.
template <bool half>
__global__ void __launch_bounds__(hmma_threads) hmma_kernel(int repeats, std::int64_t* cycles, float* out) {
  float sums[chains][4] = {};
  std::uint32_t a[4], b[2];
  for (int i = 0; i < 4; ++i) a[i] = threadIdx.x * 0x9E3779B9u + i;
  for (int i = 0; i < 2; ++i) b[i] = threadIdx.x * 0x85EBCA6Bu + i;
  __syncthreads();
  const std::int64_t begin = clock64();
#pragma unroll 1
  for (int r = 0; r < repeats; ++r) {
#pragma unroll
    for (int c = 0; c < chains; ++c) mma(sums[c], a, b, half);
  }
  __syncthreads();
  const std::int64_t end = clock64();
  if (blockIdx.x == 0 && threadIdx.x == 0) *cycles = end - begin;
  float total = 0.0f;
  for (int c = 0; c < chains; ++c) total += sums[c][0] + sums[c][1] + sums[c][2] + sums[c][3];
  out[blockIdx.x * hmma_threads + threadIdx.x] = total;
}

void probe_tensor_cores(const Machine& machine) {
  constexpr int repeats = 20000, parts = 4;
  const Memory cycles(sizeof(std::int64_t));
  const Memory out(sizeof(float) * hmma_threads * static_cast<std::size_t>(machine.multiprocessors));
  const auto run = [&](auto kernel, const char* what) {
    const double us = microseconds(machine.main, [&] {
      launch(machine.main, name, {dim3(grid_size(machine.multiprocessors)), dim3(hmma_threads)}, kernel,
             repeats, cycles.as<std::int64_t>(), out.as<float>());
    });
    std::int64_t taken = 0;
    check(cudaMemcpy(&taken, cycles.as<void>(), sizeof taken, cudaMemcpyDeviceToHost), name, "a copy");
    constexpr double of_a_part = static_cast<double>(repeats) * chains * (hmma_threads / 32) / parts;
    report(what, static_cast<double>(taken) / of_a_part, model_hmma_cycles);
    return static_cast<double>(taken) / us / 1e3;
  };
  const double clock = run(&hmma_kernel<false>, "hmma_tf32_cycles");
  run(&hmma_kernel<true>, "hmma_fp16_cycles");
  report("clock_ghz_under_load", clock, model_ghz);
}

// ---- graphs and barriers

__global__ void empty_kernel() {}

double graph_microseconds(const Machine& machine, int nodes) {
  check(cudaStreamBeginCapture(machine.main, cudaStreamCaptureModeThreadLocal), name, "beginning a capture");
  for (int i = 0; i < nodes; ++i) launch(machine.main, name, {dim3(1), dim3(32)}, &empty_kernel);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  check(cudaStreamEndCapture(machine.main, &graph), name, "ending a capture");
  check(cudaGraphInstantiate(&executable, graph, 0), name, "making a graph executable");
  const double us = microseconds(
      machine.main, [&] { check(cudaGraphLaunch(executable, machine.main), name, "replaying a graph"); });
  check(cudaGraphExecDestroy(executable), name, "giving back a graph");
  check(cudaGraphDestroy(graph), name, "giving back a graph");
  return us;
}

void probe_graph(const Machine& machine) {
  constexpr int few = 100, many = 500;
  const double of_few = graph_microseconds(machine, few), of_many = graph_microseconds(machine, many);
  report("graph_gap_us", (of_many - of_few) / (many - few), model_gap_us);
}

__global__ void barriers_kernel(int count) {
  for (int i = 0; i < count; ++i) cuda::grid_sync();
}

__global__ void busy_kernel(std::int64_t cycles) {
  const std::int64_t begin = clock64();
  while (clock64() - begin < cycles) {
  }
}

void probe_barriers(const Machine& machine) {
  constexpr int count = 1000;
  const auto of = [&](int blocks) {
    return microseconds(machine.narrow, [&] {
      launch(machine.narrow, name, {dim3(grid_size(blocks)), dim3(256), 0, true}, &barriers_kernel, count);
    });
  };
  for (const int blocks : {32, 64, 128}) {
    if (blocks > machine.multiprocessors) continue;
    report("grid_barrier_" + std::to_string(blocks) + "_us", of(blocks) / count, model_grid_barrier_us);
  }
  // Beside a grid that fills the device over and over, for 50 ms, longer than all repetitions take: how long
  // it takes until 64 blocks run and end.
  constexpr std::int64_t busy_cycles = 20'000;
  launch(machine.main, name, {dim3(grid_size(machine.multiprocessors * 8192)), dim3(1024)}, &busy_kernel,
         busy_cycles);
  const double us = of(64) / count;
  // Where the other grid has ended, they waited for it, and ran beside nothing.
  if (cudaStreamQuery(machine.main) == cudaErrorNotReady)
    report("grid_barrier_64_beside_others_us", us, model_grid_barrier_us);
  check(cudaStreamSynchronize(machine.main), name, "waiting for the device");
}

// ---- memory

/// Rows of 512 bytes in an order that looks drawn: 16 bytes a lane, a warp a row, eight rows asked for at
/// once.
__global__ void __launch_bounds__(256)
    gather_kernel(const float4* table, std::uint32_t rows, std::int64_t count, float* out) {
  const std::int64_t warp = (static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x) / 32;
  const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * 8;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float total = 0.0f;
  for (std::int64_t i = warp * 8; i < count; i += warps * 8) {
    float4 read[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const std::uint32_t row = static_cast<std::uint32_t>(i + j) * 2654435761u % rows;
      read[j] = table[static_cast<std::int64_t>(row) * 32 + lane];
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) total += read[j].x + read[j].y + read[j].z + read[j].w;
  }
  out[static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x] = total;
}

void probe_memory(const Machine& machine) {
  const int blocks = machine.multiprocessors * 8;
  const Memory out(sizeof(float) * 256 * static_cast<std::size_t>(blocks));
  constexpr std::int64_t count = 4'000'000;
  for (const auto& [size, rows] : {std::pair("baby", 26'495u), {"clothing", 62'420u}}) {
    const Memory table(std::size_t{rows} * 512);
    check(cudaMemset(table.as<void>(), 0, std::size_t{rows} * 512), name, "filling");
    const double us = microseconds(machine.main, [&] {
      launch(machine.main, name, {dim3(grid_size(blocks)), dim3(256)}, &gather_kernel, table.as<float4>(),
             rows, count, out.as<float>());
    });
    report(std::string("l2_gather_") + size + "_bytes_per_us", count * 512.0 / us, model_l2_bytes_us);
  }
  constexpr std::size_t large = std::size_t{1} << 30;
  const Memory from(large), to(large);
  check(cudaMemset(from.as<void>(), 0, large), name, "filling");
  const double us = microseconds(machine.main, [&] {
    check(cudaMemcpyAsync(to.as<void>(), from.as<void>(), large, cudaMemcpyDeviceToDevice, machine.main),
          name, "a copy");
  });
  report("memory_bytes_per_us", 2.0 * large / us, model_memory_bytes_us);
}

void run() {
  Machine machine;
  int device = 0, least = 0, greatest = 0;
  check(cudaGetDevice(&device), name, "asking for the device");
  check(cudaDeviceGetAttribute(&machine.multiprocessors, cudaDevAttrMultiProcessorCount, device), name,
        "reading a device attribute");
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), name, "asking for stream priorities");
  check(cudaStreamCreateWithPriority(&machine.main, cudaStreamNonBlocking, least), name, "making a stream");
  check(cudaStreamCreateWithPriority(&machine.narrow, cudaStreamNonBlocking, greatest), name,
        "making a stream");
  report("multiprocessors", machine.multiprocessors, model_multiprocessors);
  // A card idles at a fraction of its clock: a second of work first.
  for (int i = 0; i < 100; ++i) {
    launch(machine.main, name, {dim3(grid_size(machine.multiprocessors)), dim3(1024)}, &busy_kernel,
           std::int64_t{17'000'000});
  }
  check(cudaStreamSynchronize(machine.main), name, "waiting for the device");
  probe_tensor_cores(machine);
  probe_graph(machine);
  probe_barriers(machine);
  probe_memory(machine);
  check(cudaStreamDestroy(machine.main), name, "giving back a stream");
  check(cudaStreamDestroy(machine.narrow), name, "giving back a stream");
}

}  // namespace

}  // namespace sea::bench

int main() {
  try {
    sea::bench::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
