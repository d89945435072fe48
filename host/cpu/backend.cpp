#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "cpu/gemm.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

std::size_t physical_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
}

int thread_count(int wanted) {
  if (wanted < 0)
    throw Error(fmt::format("CpuBackend: {} threads; it must be at least 1, or 0 for all cores", wanted));
  return wanted > 0 ? wanted : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

CpuBackend::CpuBackend(int threads)
    : pool_(std::make_unique<ThreadPool>(thread_count(threads))), allocation_limit_(physical_memory()) {}

CpuBackend::~CpuBackend() = default;

int CpuBackend::threads() const {
  return pool_->threads();
}

std::string CpuBackend::description() const {
  return fmt::format("CPU, {} thread{}, {}", threads(), threads() == 1 ? "" : "s", cpu::gemm_library());
}

void* CpuBackend::allocate(std::size_t bytes) {
  const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + 63) / 64 * 64;
  // Close to the largest number, rounding up comes round to 0.
  const bool fits =
      rounded >= bytes && rounded <= allocation_limit_ && allocated_ <= allocation_limit_ - rounded;
  void* pointer = fits ? std::aligned_alloc(64, rounded) : nullptr;
  if (pointer == nullptr) {
    throw Error(
        fmt::format("out of memory: {:.1f} MB wanted beside {:.1f} MB in use; {:.1f} MB may be used in all",
                    static_cast<double>(bytes) / 1e6, static_cast<double>(allocated_) / 1e6,
                    static_cast<double>(allocation_limit_) / 1e6));
  }
  allocated_ += bytes;
  peak_allocated_ = std::max(peak_allocated_, allocated_);
  return pointer;
}

void CpuBackend::deallocate(void* pointer, std::size_t bytes) noexcept {
  if (pointer == nullptr) return;
  std::free(pointer);
  allocated_ -= bytes;
}

std::size_t CpuBackend::allocated_bytes() const {
  return allocated_;
}
std::size_t CpuBackend::peak_allocated_bytes() const {
  return peak_allocated_;
}

void CpuBackend::copy_to_device(void* destination, const void* host_source, std::size_t bytes) {
  if (bytes > 0) std::memcpy(destination, host_source, bytes);
}

void CpuBackend::copy_to_host(void* host_destination, const void* source, std::size_t bytes) {
  if (bytes > 0) std::memcpy(host_destination, source, bytes);
}

void CpuBackend::fill_zero(void* destination, std::size_t bytes) {
  if (bytes > 0) std::memset(destination, 0, bytes);
}

void CpuBackend::synchronize() {}

}  // namespace sea
