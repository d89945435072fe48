// What every backend says about memory that cannot be had, and about scratch memory that is too small.

#include <cstdint>
#include <limits>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace sea;
using namespace sea::test;

TEST_CASE("allocate refuses what no memory can hold, and counts nothing for it") {
  for_each_backend([](Backend& backend) {
    const std::size_t before = backend.allocated_bytes();
    constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
    for (const std::size_t bytes :
         {largest, largest - 3, largest - 63, largest - 64, largest / 2 + 1, largest / 4}) {
      INFO(bytes);
      const std::string message = error_of([&] { backend.allocate(bytes); });
      CHECK(contains(message, "memory"));
      CHECK(contains(message, "wanted beside"));
    }
    CHECK(backend.allocated_bytes() == before);
    // As many elements as make the number of bytes come round to a small one.
    CHECK(contains(error_of([&] { Buffer<float>(backend, (std::int64_t{1} << 62) + 1); }),
                   "a buffer of 4611686018427387905 elements cannot be"));
    CHECK(contains(error_of([&] { Buffer<double>(backend, -1); }), "a buffer of -1 elements cannot be"));
    Buffer<float> none(backend, 0), one(backend, 1);
    CHECK(none.data() != nullptr);
    CHECK(backend.allocated_bytes() == before + sizeof(float));
  });
}

TEST_CASE("allocate keeps to a limit that is the largest number") {
  CpuBackend backend(1);
  backend.set_allocation_limit(std::numeric_limits<std::size_t>::max());
  CHECK_THROWS_AS(backend.allocate(std::numeric_limits<std::size_t>::max() - 3), Error);
  CHECK(backend.allocated_bytes() == 0);
}

TEST_CASE("CpuBackend refuses fewer than no threads") {
  CHECK(error_of([] { CpuBackend backend(-1); }) ==
        "CpuBackend: -1 threads; it must be at least 1, or 0 for all cores");
  CHECK(CpuBackend(0).threads() >= 1);
  CHECK(CpuBackend(3).threads() == 3);
}

TEST_CASE("an operator says how large its workspace must be and how large it is") {
  for_each_backend([](Backend& backend) {
    constexpr std::int64_t rows = 40, columns = 8;
    const Buffer<float> matrix = to_device(backend, random_values(rows * columns, 1));
    const Buffer<float> column = to_device(backend, random_values(columns, 2));
    Buffer<float> mean(backend, columns), deviation(backend, columns), y(backend, rows * columns);
    const std::size_t needed = backend.batch_norm_workspace(rows, columns);
    REQUIRE(needed > 64);
    Buffer<std::byte> memory(backend, static_cast<std::int64_t>(needed));
    const auto run = [&](std::size_t size) {
      backend.batch_norm({matrix.data(), rows, columns}, column.span(), column.span(), 1e-5f, true,
                         mean.span(), deviation.span(), y.matrix(rows, columns), {memory.data(), size});
      backend.synchronize();
    };
    const std::string message = error_of([&] { run(64); });
    CHECK(contains(message, "batch_norm: the workspace has 64 bytes and must have "));
    CHECK(contains(message, "_workspace says how many"));
    CHECK(error_of([&] { run(needed); }).empty());
  });
}
