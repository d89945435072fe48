// Kernels with one fault each. What the tests of operators rely on is that none of these passes.

#include <numeric>

#include "common/reduce.cuh"
#include "simt/sanitizer.hpp"
#include "simt/testing.hpp"

using namespace sea::simt::test;
using sea::cuda::full_warp;
using sea::cuda::launch;
using sea::cuda::shared_memory;

namespace {

constexpr int threads = 64;

struct Shared {
  int value[threads];
};

template <bool with_barrier>
__global__ void reverse_kernel(const int* x, int* y) {
  auto& shared = shared_memory<Shared>();
  shared.value[threadIdx.x] = x[threadIdx.x];
  if (with_barrier) __syncthreads();
  y[threadIdx.x] = shared.value[threads - 1 - threadIdx.x];
}

/// The last to write wins; or thread 7 alone writes.
template <bool everybody>
__global__ void claim_kernel(int* owner) {
  if (everybody || threadIdx.x == 7) *owner = static_cast<int>(threadIdx.x);
  __syncthreads();
}

/// The sum of values that threads add to one cell without an atomic, one after the other: right here, where a
/// thread is never interrupted, but in floats the order shows.
__global__ void add_in_any_order_kernel(const float* x, float* sum) {
  if (threadIdx.x == 0) *sum = 0.0f;
  __syncthreads();
  *sum += x[threadIdx.x];
}

__global__ void copy_kernel(const int* x, int* y, int offset) {
  y[threadIdx.x] = x[static_cast<int>(threadIdx.x) + offset];
}

__global__ void write_kernel(int* y, int offset) {
  y[static_cast<int>(threadIdx.x) + offset] = 1;
}

__global__ void read_shared_kernel(int* y, int offset) {
  auto& shared = shared_memory<Shared>();
  shared.value[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = *(shared.value + threadIdx.x + offset);
}

/// Only the first half of shared memory is written.
__global__ void read_unwritten_kernel(float* y) {
  struct Values {
    float value[threads];
  };
  auto& shared = shared_memory<Values>();
  if (threadIdx.x < threads / 2) shared.value[threadIdx.x] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = shared.value[threadIdx.x];
}

/// Lanes below `lanes` shuffle under `mask`, each reading its neighbour.
__global__ void shuffle_kernel(int* y, unsigned mask, unsigned lanes) {
  const unsigned lane = threadIdx.x % 32;
  if (lane >= lanes) return;
  y[threadIdx.x] = __shfl_xor_sync(mask, static_cast<int>(lane), 1);
}

/// The halves of a warp name each other and shuffle in different places.
__global__ void two_shuffles_kernel(int* y) {
  int value = static_cast<int>(threadIdx.x);
  if (threadIdx.x % 32 < 16) {
    value = __shfl_xor_sync(full_warp, value, 1);
  } else {
    value = __shfl_down_sync(full_warp, value, 1);
  }
  y[threadIdx.x] = value;
}

__global__ void divergent_barrier_kernel(int* y) {
  if (threadIdx.x < 5) {
    __syncthreads();
    y[threadIdx.x] = 1;
  }
}

template <int wait_for>
__global__ void async_copy_kernel(const int* x, int* y) {
  auto& shared = shared_memory<Shared>();
  sea::cuda::copy_async_4(&shared.value[threadIdx.x], x + threadIdx.x);
  sea::cuda::copy_async_commit();
  sea::cuda::copy_async_wait<wait_for>();
  y[threadIdx.x] = shared.value[threadIdx.x];
}

/// Sums over the block, one after the other, in the same memory; the second may begin while the first one is
/// read.
template <bool with_last_barrier>
__global__ void block_sums_kernel(const int* x, int* y) {
  auto& shared = shared_memory<Shared>();
  int value = x[threadIdx.x];
  for (int round = 0; round < 2; ++round) {
    const int sum = sea::cuda::warp_sum(value);
    if (threadIdx.x % 32 == 0) shared.value[threadIdx.x / 32] = sum;
    __syncthreads();
    value += sea::cuda::warp_sum(threadIdx.x % 32 < threads / 32 ? shared.value[threadIdx.x % 32] : 0);
    if (with_last_barrier) __syncthreads();
  }
  y[threadIdx.x] = value;
}

/// Blocks write the parts of a step, and add up what all have written, in one buffer or in two in turn.
template <int buffers>
__global__ void steps_kernel(const int* x, int* y, int* parts) {
  int sum = 0;
  for (int step = 0; step < 6; ++step) {
    int* const part = parts + step % buffers * 4;
    if (threadIdx.x == 0) part[blockIdx.x] = x[step] + sum + static_cast<int>(blockIdx.x);
    sea::cuda::grid_sync();
    for (int block = 0; block < 4; ++block) sum += part[block];
  }
  y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

__global__ void read_pack_kernel(int* y, int offset) {
  const float4 pack = *reinterpret_cast<const float4*>(y + offset);
  y[threadIdx.x] = static_cast<int>(pack.x);
}

/// A copy of nothing from an address that is aligned, or is not.
__global__ void copy_nothing_kernel(int* y, int offset) {
  auto& shared = shared_memory<Shared>();
  sea::cuda::copy_async_16(&shared.value[threadIdx.x % 16 * 4], y + offset, false);
  sea::cuda::copy_async_commit();
  sea::cuda::copy_async_wait<0>();
  y[threadIdx.x] = 0;
}

const sea::cuda::Grid one_block{dim3(1), dim3(threads), sizeof(Shared)};

std::vector<int> counted() {
  std::vector<int> values(threads);
  std::iota(values.begin(), values.end(), 100);
  return values;
}

/// What `kernel` makes of 64 numbers.
std::vector<int> mapped(void (*kernel)(const int*, int*)) {
  const Stream stream;
  const DeviceArray<int> x(stream, counted()), y(stream, threads);
  launch(stream, "mapped", one_block, kernel, x.data(), y.data());
  return y.download();
}

/// What a launch on 64 numbers did wrong.
template <class... Parameters, class... Arguments>
std::string fault_of(void (*kernel)(int*, Parameters...), const Arguments&... arguments) {
  const Stream stream;
  const DeviceArray<int> y(stream, threads);
  launch(stream, "planted", one_block, kernel, y.data(), arguments...);
  return stream.fault();
}

}  // namespace

TEST_CASE("a missing barrier shows as a result that depends on the schedule") {
  std::vector<int> reversed = counted();
  std::reverse(reversed.begin(), reversed.end());
  CHECK(results_of_schedules([] { return mapped(&reverse_kernel<true>); }) == std::set{reversed});
  CHECK(results_of_schedules([] { return mapped(&reverse_kernel<false>); }).size() > 1);
}

TEST_CASE("two threads that write one cell show as a result that depends on the schedule") {
  const auto owner = [](void (*kernel)(int*)) {
    const Stream stream;
    const DeviceArray<int> cell(stream, 1);
    launch(stream, "claim", one_block, kernel, cell.data());
    return cell.download();
  };
  CHECK(results_of_schedules([&] { return owner(&claim_kernel<false>); }) == std::set{std::vector{7}});
  CHECK(results_of_schedules([&] { return owner(&claim_kernel<true>); }).size() > 1);

  CHECK(results_of_schedules([] {
          const Stream stream;
          std::vector<float> values(threads, 1.0f);
          values.back() = 1e8f;
          const DeviceArray<float> x(stream, values), sum(stream, 1);
          launch(stream, "add_in_any_order", one_block, &add_in_any_order_kernel, x.data(), sum.data());
          return sum.download();
        }).size() > 1);
}

TEST_CASE("a warp that falls behind the others reads what comes next") {
  CHECK(results_of_schedules([] { return mapped(&block_sums_kernel<true>); }).size() == 1);
  CHECK(results_of_schedules([] { return mapped(&block_sums_kernel<false>); }).size() > 1);
}

TEST_CASE("a block that falls behind the others reads what comes next") {
  const auto sums = [](void (*kernel)(const int*, int*, int*)) {
    const Stream stream;
    const DeviceArray<int> x(stream, counted()), y(stream, threads), parts(stream, 8);
    const sea::cuda::Grid four_blocks{dim3(4), dim3(threads / 4), 0, true};
    launch(stream, "steps", four_blocks, kernel, x.data(), y.data(), parts.data());
    return y.download();
  };
  CHECK(results_of_schedules([&] { return sums(&steps_kernel<2>); }).size() == 1);
  CHECK(results_of_schedules([&] { return sums(&steps_kernel<1>); }).size() > 1);
}

TEST_CASE("16 bytes that are not aligned are a fault") {
  CHECK(fault_of(&copy_nothing_kernel, 4).empty());
  CHECK(contains(fault_of(&copy_nothing_kernel, 2), "not aligned"));
  CHECK(fault_of(&read_pack_kernel, 4).empty());
  // The undefined-behaviour sanitizer ends the process.
  if (sea::simt::address_sanitizer) return;
  CHECK(contains(fault_of(&read_pack_kernel, 1), "not aligned"));
  CHECK(contains(fault_of(&read_pack_kernel, 2), "not aligned"));
}

TEST_CASE("an access beyond an allocation is a fault that names kernel, block and thread") {
  const Stream stream;
  const DeviceArray<int> x(stream, counted()), y(stream, threads);
  launch(stream, "copy", one_block, &copy_kernel, x.data(), y.data(), 0);
  CHECK(stream.fault().empty());
  CHECK(y.download() == counted());
  launch(stream, "copy", one_block, &copy_kernel, x.data(), y.data(), 1);
  const std::string fault = stream.fault();
  CHECK(contains(fault, "copy: block (0, 0, 0), thread (63, 0, 0)"));
  CHECK(fault_of(&write_kernel, 0).empty());
  CHECK(contains(fault_of(&write_kernel, 1), "thread (63, 0, 0)"));
  // Inside the allocation's first page, which AddressSanitizer watches and where it ends the process.
  if (!sea::simt::address_sanitizer) CHECK_FALSE(fault_of(&write_kernel, -1).empty());
  CHECK(fault_of(&read_shared_kernel, 0).empty());
  CHECK(contains(fault_of(&read_shared_kernel, 16 * threads), "shared memory"));

  // The device goes on after a fault.
  launch(stream, "copy", one_block, &copy_kernel, x.data(), y.data(), 0);
  CHECK(y.download() == counted());
}

TEST_CASE("an access to freed memory is a fault") {
  const Stream stream;
  const DeviceArray<int> y(stream, threads);
  void* pointer = nullptr;
  REQUIRE(cudaMallocAsync(&pointer, threads * sizeof(int), stream) == cudaSuccess);
  REQUIRE(cudaFreeAsync(pointer, stream) == cudaSuccess);
  launch(stream, "late", one_block, &copy_kernel, static_cast<const int*>(pointer), y.data(), 0);
  CHECK(contains(stream.fault(), "freed"));
}

TEST_CASE("memory given back on another stream, without waiting, is a fault under some schedule") {
  int faults = 0;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    sea::simt::set_schedule_seed(seed);
    const Stream stream, other;
    const DeviceArray<int> y(stream, threads);
    void* pointer = nullptr;
    REQUIRE(cudaMallocAsync(&pointer, threads * sizeof(int), stream) == cudaSuccess);
    launch(stream, "reader", one_block, &copy_kernel, static_cast<const int*>(pointer), y.data(), 0);
    REQUIRE(cudaFreeAsync(pointer, other) == cudaSuccess);
    faults += stream.fault().empty() ? 0 : 1;
  }
  CHECK(faults > 0);
  CHECK(faults < 24);
}

TEST_CASE("a shuffle with a wrong mask is a fault") {
  CHECK(fault_of(&shuffle_kernel, full_warp, 32u).empty());
  CHECK(fault_of(&shuffle_kernel, 0xFFFFu, 16u).empty());
  SECTION("lanes in the mask never come") {
    CHECK(contains(fault_of(&shuffle_kernel, full_warp, 16u), "has ended"));
  }
  SECTION("the mask leaves the caller out") {
    CHECK(contains(fault_of(&shuffle_kernel, 0xFFFFu, 32u), "which its mask leaves out"));
  }
  SECTION("the mask leaves out the lane that is read") {
    CHECK(contains(fault_of(&shuffle_kernel, 0x1FFFFu, 17u), "reads lane 17"));
  }
  SECTION("lanes wait for each other in different places") {
    CHECK(contains(fault_of(&two_shuffles_kernel), "__shfl_"));
  }
}

TEST_CASE("shared memory that nobody wrote is not a number") {
  const Stream stream;
  const DeviceArray<float> y(stream, threads);
  launch(stream, "read_unwritten", one_block, &read_unwritten_kernel, y.data());
  const std::vector<float> values = y.download();
  for (int i = 0; i < threads; ++i) CHECK(std::isnan(values[i]) == (i >= threads / 2));
}

TEST_CASE("a barrier that not all threads of the block reach is a fault") {
  CHECK(contains(fault_of(&divergent_barrier_kernel), "__syncthreads"));
}

TEST_CASE("a copy in the background that is not waited for shows as a result of the schedule") {
  CHECK(results_of_schedules([] { return mapped(&async_copy_kernel<0>); }) == std::set{counted()});
  CHECK(results_of_schedules([] { return mapped(&async_copy_kernel<1>); }).size() > 1);
}

TEST_CASE("what a kernel may have of shared memory is never lowered") {
  const Stream stream;
  const DeviceArray<int> y(stream, threads);
  const auto start = [&](std::size_t kilobytes) {
    launch(stream, "read_shared", sea::cuda::Grid{dim3(1), dim3(threads), kilobytes * 1024},
           &read_shared_kernel, y.data(), 0);
    return stream.fault();
  };
  const auto* kernel = reinterpret_cast<const void*>(&read_shared_kernel);
  CHECK(start(100).empty());
  CHECK(sea::simt::dynamic_shared_limit(kernel) == 100 * 1024);
  CHECK(start(60).empty());
  CHECK(sea::simt::dynamic_shared_limit(kernel) == 100 * 1024);
  CHECK(start(120).empty());
  CHECK(sea::simt::dynamic_shared_limit(kernel) == 120 * 1024);
  CHECK_THROWS_AS(start(1000), sea::Error);
}
