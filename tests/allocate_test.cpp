// What every backend says about memory and threads that cannot be had, and about scratch memory that is too
// small.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <limits>
#include <vector>

#include "sea/cpu.hpp"
#include "sea/device_csr.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"

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

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// Asks for more threads than this process has room for the stacks of. The exit code says what went wrong.
int ask_for_threads() {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE)) + (rlim_t{64} << 20);
  if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
  const std::string message = error_of([] { CpuBackend backend(1024); });
  if (!contains(message, "CpuBackend: 1024 threads were asked for and ")) return 2;
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  return sigismember(&blocked, SIGTERM) == 0 ? 0 : 3;
}

}  // namespace

TEST_CASE("CpuBackend refuses more threads than can be started, and blocks no signal then") {
  if (sanitized) return skip("a sanitizer ends the process where a thread finds no memory");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(ask_for_threads());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a buffer takes as many values as it has elements, or fewer") {
  for_each_backend([](Backend& backend) {
    Buffer<std::int32_t> buffer = to_device<std::int32_t>(backend, {1, 2, 3});
    buffer.upload(std::vector<std::int32_t>{7, 8});
    CHECK(buffer.download() == std::vector<std::int32_t>{7, 8, 3});
    const std::vector<std::int32_t> longer = {1, 2, 3, 4};
    CHECK(error_of([&] { buffer.upload(longer); }) ==
          "a buffer of 3 elements takes at most as many values, and 4 are uploaded");
    CHECK(buffer.download() == std::vector<std::int32_t>{7, 8, 3});
  });
}

TEST_CASE("a buffer without a backend has nothing to copy or to fill") {
  Buffer<float> none;
  none.fill_zero();
  none.upload({});
  CHECK(none.download().empty());
  CHECK(contains(error_of([&] { none.upload(std::vector<float>{1.0f}); }), "a buffer of 0 elements"));
}

TEST_CASE("DeviceCsr refuses arrays that do not fit each other, and has no values as a pattern") {
  using Offsets = std::vector<std::int64_t>;
  using Columns = std::vector<std::int32_t>;
  using Values = std::vector<float>;
  for_each_backend([](Backend& backend) {
    const auto error = [&](const Offsets& offsets, const Values& values) {
      return error_of([&] { DeviceCsr(backend, 2, 3, offsets, Columns{0, 2, 1}, values); });
    };
    CHECK(error({0, 2}, {}) == "DeviceCsr: row_offsets has 2 elements and must have 3");
    CHECK(error({0, 2, 3, 3}, {}) == "DeviceCsr: row_offsets has 4 elements and must have 3");
    CHECK(error({0, 2, 3}, {1.0f, 2.0f}) == "DeviceCsr: values has 2 elements and must have 3");
    CHECK(error({0, 2, 3}, {1.0f, 2.0f, 3.0f, 4.0f}) == "DeviceCsr: values has 4 elements and must have 3");
    const DeviceCsr pattern(backend, 2, 3, Offsets{0, 2, 3}, Columns{0, 2, 1}, {});
    CHECK(pattern.view().values == nullptr);
    const DeviceCsr matrix(backend, 2, 3, Offsets{0, 2, 3}, Columns{0, 2, 1}, Values{1.0f, 2.0f, 3.0f});
    CHECK(matrix.view().values != nullptr);
    CHECK(DeviceCsr().view().values == nullptr);
  });
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
