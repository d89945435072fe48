// Blocks, barriers, warps and shared memory as CUDA has them.

#include <cmath>
#include <numeric>

#include "common/reduce.cuh"
#include "common/sort.cuh"
#include "sea/error.hpp"
#include "simt/testing.hpp"

using namespace sea::simt::test;
using sea::cuda::full_warp;
using sea::cuda::Grid;
using sea::cuda::launch;
using sea::cuda::shared_memory;

namespace {

__global__ void visit_kernel(int* visits) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  visits[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1 + static_cast<int>(thread);
}

__global__ void votes_kernel(int* y) {
  const bool odd = threadIdx.x % 2 == 1;
  const int count = __syncthreads_count(odd ? 7 : 0);
  const int any = __syncthreads_or(threadIdx.x == 3 ? 1 : 0);
  const int none = __syncthreads_or(0);
  const int all = __syncthreads_and(1);
  const int not_all = __syncthreads_and(threadIdx.x == 3 ? 0 : 1);
  y[threadIdx.x] = count * 10000 + any * 1000 + none * 100 + all * 10 + not_all;
}

enum Exchange { indexed, down, up, crosswise, ballot, any, all, add, smallest, largest, exchanges };

__global__ void exchange_kernel(int* y) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int value = 100 + lane;
  int* row = y + threadIdx.x;
  row[indexed * 64] = __shfl_sync(full_warp, value, 3, 8);
  row[down * 64] = __shfl_down_sync(full_warp, value, 3);
  row[up * 64] = __shfl_up_sync(full_warp, value, 2, 16);
  row[crosswise * 64] = __shfl_xor_sync(full_warp, value, 5);
  row[ballot * 64] = static_cast<int>(__ballot_sync(full_warp, lane % 3 == 0));
  row[any * 64] = __any_sync(full_warp, lane == 9);
  row[all * 64] = __all_sync(full_warp, lane < 31);
  row[add * 64] = __reduce_add_sync(full_warp, value);
  row[smallest * 64] = __reduce_min_sync(full_warp, -value);
  row[largest * 64] = __reduce_max_sync(full_warp, value);
}

/// Each round, every block adds up what all blocks wrote in the round before.
__global__ void rounds_kernel(int* cells, int rounds) {
  const unsigned blocks = gridDim.x;
  for (int round = 0; round < rounds; ++round) {
    const int* from = cells + round * blocks;
    int* to = cells + (round + 1) * blocks;
    if (threadIdx.x == 0) {
      int sum = 0;
      for (unsigned b = 0; b < blocks; ++b) sum += from[b];
      to[blockIdx.x] = sum + static_cast<int>(blockIdx.x);
    }
    sea::cuda::grid_sync();
  }
}

struct Large {
  unsigned value[40000];
};

/// Whether shared memory starts as NaN bytes in every block, and holds what is written to its ends.
__global__ void large_shared_kernel(int* y) {
  auto& shared = shared_memory<Large>();
  if (threadIdx.x > 0) return;
  const bool fresh = shared.value[0] == 0xFFFFFFFFu && shared.value[39999] == 0xFFFFFFFFu;
  shared.value[0] = 1;
  shared.value[39999] = 2;
  y[blockIdx.x] = fresh && shared.value[0] + shared.value[39999] == 3 ? 1 : 0;
}

struct Sums {
  double warp_sums[32];
};

__global__ void block_sum_kernel(const double* x, double* y) {
  y[threadIdx.x] = sea::cuda::block_sum<128>(x[threadIdx.x], shared_memory<Sums>().warp_sums);
}

__global__ void mma_kernel(const float* a, const float* b, float* d) {
  const int group = static_cast<int>(threadIdx.x) / 4, place = static_cast<int>(threadIdx.x) % 4;
  const std::uint32_t a_part[4] = {
      sea::cuda::to_tf32(a[group * 8 + place]), sea::cuda::to_tf32(a[(group + 8) * 8 + place]),
      sea::cuda::to_tf32(a[group * 8 + place + 4]), sea::cuda::to_tf32(a[(group + 8) * 8 + place + 4])};
  const std::uint32_t b_part[2] = {sea::cuda::to_tf32(b[place * 8 + group]),
                                   sea::cuda::to_tf32(b[(place + 4) * 8 + group])};
  float sums[4] = {1.0f, 2.0f, 3.0f, 4.0f};
  sea::cuda::mma_m16n8k8_tf32(sums, a_part, b_part);
  for (int e = 0; e < 4; ++e) d[(group + e / 2 * 8) * 8 + 2 * place + e % 2] = sums[e];
}

__global__ void nothing_kernel() {}

__global__ void grid_sync_kernel() {
  sea::cuda::grid_sync();
}

/// Adds one to every number, after the one before it on the stream.
__global__ void increment_kernel(int* y) {
  y[threadIdx.x] = 2 * y[threadIdx.x] + 1;
}

}  // namespace

TEST_CASE("every thread of every block runs once, under its own index") {
  const Stream stream;
  const DeviceArray<int> visits(stream, std::vector<int>(3 * 2 * 2 * 60));
  launch(stream, "visit", Grid{dim3(3, 2, 2), dim3(5, 4, 3)}, &visit_kernel, visits.data());
  std::vector<int> expected;
  for (int block = 0; block < 12; ++block) {
    for (int thread = 0; thread < 60; ++thread) expected.push_back(1 + thread);
  }
  CHECK(visits.download() == expected);
}

TEST_CASE("barriers count and combine the predicates of a block") {
  const Stream stream;
  const DeviceArray<int> y(stream, 96);
  launch(stream, "votes", Grid{dim3(1), dim3(96)}, &votes_kernel, y.data());
  CHECK(y.download() == std::vector<int>(96, 48 * 10000 + 1000 + 10));
}

TEST_CASE("lanes exchange, vote and reduce") {
  const std::set<std::vector<int>> results = results_of_schedules([] {
    const Stream stream;
    const DeviceArray<int> y(stream, exchanges * 64);
    launch(stream, "exchange", Grid{dim3(1), dim3(64)}, &exchange_kernel, y.data());
    return y.download();
  });
  REQUIRE(results.size() == 1);
  const std::vector<int>& y = *results.begin();
  for (int thread = 0; thread < 64; ++thread) {
    const int lane = thread % 32;
    const auto result = [&](Exchange kind) { return y[kind * 64 + thread]; };
    CHECK(result(indexed) == 100 + lane / 8 * 8 + 3);
    CHECK(result(down) == 100 + (lane + 3 < 32 ? lane + 3 : lane));
    CHECK(result(up) == 100 + (lane % 16 >= 2 ? lane - 2 : lane));
    CHECK(result(crosswise) == 100 + (lane ^ 5));
    CHECK(result(ballot) == 0x49249249);
    CHECK(result(any) == 1);
    CHECK(result(all) == 0);
    CHECK(result(add) == 32 * 100 + 31 * 16);
    CHECK(result(smallest) == -131);
    CHECK(result(largest) == 131);
  }
}

TEST_CASE("a cooperative launch has a barrier of all blocks") {
  constexpr int blocks = 8, rounds = 5;
  std::vector<int> expected(blocks, 1);
  for (int round = 0; round < rounds; ++round) {
    const int sum = std::accumulate(expected.begin(), expected.end(), 0);
    for (int b = 0; b < blocks; ++b) expected[b] = sum + b;
  }
  const auto results = results_of_schedules([&] {
    const Stream stream;
    const DeviceArray<int> cells(stream, std::vector<int>(blocks * (rounds + 1), 1));
    launch(stream, "rounds", Grid{dim3(blocks), dim3(64), 0, true}, &rounds_kernel, cells.data(), rounds);
    const std::vector<int> all = cells.download();
    return std::vector<int>(all.end() - blocks, all.end());
  });
  CHECK(results == std::set{expected});
}

TEST_CASE("shared memory may be large, and starts afresh in every block") {
  const Stream stream;
  const DeviceArray<int> y(stream, 9);
  launch(stream, "large_shared", Grid{dim3(9), dim3(32), sizeof(Large)}, &large_shared_kernel, y.data());
  CHECK(y.download() == std::vector<int>(9, 1));
}

TEST_CASE("block_sum has one order under every schedule") {
  std::vector<double> values(128);
  for (int i = 0; i < 128; ++i) values[i] = std::pow(-1.1, i % 50) + 1e-9 * i;
  const auto results = results_of_schedules([&] {
    const Stream stream;
    const DeviceArray<double> x(stream, values), y(stream, 128);
    launch(stream, "block_sum", Grid{dim3(1), dim3(128), sizeof(Sums)}, &block_sum_kernel, x.data(),
           y.data());
    return y.download();
  });
  REQUIRE(results.size() == 1);
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  for (const double value : *results.begin()) CHECK(value == Approx(sum).epsilon(1e-12));
}

TEST_CASE("mma_m16n8k8 multiplies numbers of ten bits exactly, and adds") {
  std::vector<float> a(16 * 8), b(8 * 8);
  for (int i = 0; i < 16 * 8; ++i) a[i] = static_cast<float>(i * 37 % 101 - 50);
  for (int i = 0; i < 8 * 8; ++i) b[i] = static_cast<float>(i * 53 % 89 - 44) / 8.0f;
  const Stream stream;
  const DeviceArray<float> device_a(stream, a), device_b(stream, b), d(stream, 16 * 8);
  launch(stream, "mma", Grid{dim3(1), dim3(32)}, &mma_kernel, device_a.data(), device_b.data(), d.data());
  const std::vector<float> result = d.download();
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      double sum = 1.0 + i / 8 * 2 + j % 2;
      for (int k = 0; k < 8; ++k) sum += static_cast<double>(a[i * 8 + k]) * b[k * 8 + j];
      CHECK(result[i * 8 + j] == sum);
    }
  }
  // Ten bits of mantissa; a tie goes away from zero.
  CHECK(sea::cuda::to_tf32(1.0f) == 0x3F800000u);
  CHECK((sea::cuda::to_tf32(1.0f + 0x1p-11f) & 0xFFFFE000u) == 0x3F802000u);
  CHECK((sea::cuda::to_tf32(1.0f + 0x1p-12f) & 0xFFFFE000u) == 0x3F800000u);
}

TEST_CASE("sort_pairs keeps the order of equal keys") {
  constexpr std::int32_t count = 500;
  std::vector<std::int32_t> keys(count), values(count);
  for (std::int32_t i = 0; i < count; ++i) {
    keys[i] = i % 7 == 0 ? INT32_MAX : i * 37 % 23;
    values[i] = i;
  }
  const Stream stream;
  const DeviceArray<std::int32_t> in(stream, keys), numbers(stream, values);
  const DeviceArray<std::int32_t> sorted(stream, count), places(stream, count);
  const std::size_t bytes = sea::cuda::sort_pairs_bytes(count);
  const DeviceArray<unsigned char> memory(stream, bytes);
  sea::cuda::sort_pairs(stream, "sort", in.data(), sorted.data(), numbers.data(), places.data(), count,
                        memory.data(), bytes);
  std::stable_sort(values.begin(), values.end(),
                   [&](std::int32_t x, std::int32_t y) { return keys[x] < keys[y]; });
  std::stable_sort(keys.begin(), keys.end());
  CHECK(sorted.download() == keys);
  CHECK(places.download() == values);
}

TEST_CASE("a launch that CUDA would refuse is an error with the operator's name") {
  const Stream stream;
  const auto refused = [&](const Grid& grid) {
    try {
      launch(stream, "refused", grid, &nothing_kernel);
    } catch (const sea::Error& error) {
      return contains(error.what(), "refused: a kernel was not started");
    }
    return false;
  };
  CHECK_FALSE(refused({dim3(1), dim3(1024)}));
  CHECK(refused({dim3(1), dim3(1056)}));
  CHECK(refused({dim3(1, 70000), dim3(32)}));
  CHECK(refused({dim3(1), dim3(32), 228 * 1024}));
  CHECK_FALSE(refused({dim3(8), dim3(1024), 0, true}));
  CHECK(refused({dim3(9), dim3(1024), 0, true}));
  CHECK_FALSE(refused({dim3(0), dim3(32)}));
  CHECK(stream.fault().empty());
  launch(stream, "lonely", Grid{dim3(2), dim3(32)}, &grid_sync_kernel);
  CHECK(contains(stream.fault(), "grid_sync in a launch that is not cooperative"));
}

TEST_CASE("work on one stream keeps its order, and waits until somebody asks for it") {
  const auto results = results_of_schedules([] {
    const Stream stream;
    const DeviceArray<int> y(stream, std::vector<int>(32, 0));
    for (int i = 0; i < 5; ++i)
      launch(stream, "increment", Grid{dim3(1), dim3(32)}, &increment_kernel, y.data());
    return y.download();
  });
  CHECK(results == std::set{std::vector<int>(32, 31)});
}

TEST_CASE("a copy to the device takes the host's bytes at the call") {
  const Stream stream;
  std::vector<int> values(32, 1);
  const DeviceArray<int> y(stream, 32);
  REQUIRE(cudaMemcpyAsync(y.data(), values.data(), 32 * sizeof(int), cudaMemcpyHostToDevice, stream) ==
          cudaSuccess);
  values.assign(32, 5);
  CHECK(y.download() == std::vector<int>(32, 1));
}
