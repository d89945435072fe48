#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>

#include "simt/random.hpp"
#include "simt/types.hpp"

// NOLINTBEGIN(readability-identifier-naming): CUDA's names
inline thread_local constinit uint3 threadIdx{};
inline thread_local constinit uint3 blockIdx{};
inline thread_local constinit dim3 blockDim{};
inline thread_local constinit dim3 gridDim{};
inline constexpr int warpSize = 32;
// NOLINTEND(readability-identifier-naming)

namespace sea::simt {

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned multiprocessors = 4;
inline constexpr unsigned max_block_threads = 1024;
inline constexpr unsigned max_multiprocessor_threads = 2048;
inline constexpr std::size_t max_shared_bytes = 163 * 1024;
inline constexpr std::size_t default_shared_bytes = 48 * 1024;

/// What a kernel did wrong: which kernel, block, thread, where.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Site = std::source_location;

struct KernelLaunch {
  std::string name;
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  bool cooperative = false;
  std::function<void()> thread;  ///< calls the kernel
};

/// Runs a launch to its end: all blocks, every thread per fiber, in an order drawn from `random` at every
/// place where threads wait for each other. Throws Fault.
void run_launch(const KernelLaunch& launch, Random& random);

// ---- called by the running thread

/// Whether a thread of a kernel is running.
bool in_kernel();
/// Ends the launch with a Fault that names kernel, block and thread.
[[noreturn]] void fail(const std::string& what, Site site);
/// The number of the running thread within its warp.
unsigned lane_number();
/// Waits for all threads of the block. Returns for how many of them `predicate` was not 0.
int block_barrier(const char* what, int predicate, Site site);
/// Waits for all threads of a cooperative launch.
void grid_barrier(Site site);

/// What the lanes of a warp brought to one operation: payload[lane] for the lanes in `mask`, else null.
struct WarpPayloads {
  unsigned mask;
  void* payload[warp_size];
  unsigned caller;  ///< the lane that came last
  Site site;
};
using WarpOperation = void (*)(const WarpPayloads&);

/// Waits for all lanes in `mask`; the last one runs `operation` for all of them.
void warp_collective(const char* what, unsigned mask, WarpOperation operation, void* payload, Site site);

/// The block's shared memory. A Fault where the launch asked for fewer than `bytes`.
void* shared_memory_of(std::size_t bytes, std::size_t alignment, Site site);
bool in_shared_memory(const void* address, std::size_t bytes);

/// An asynchronous copy of 4 or 16 bytes to shared memory, zeros where `valid` is not set. It arrives at once
/// or at the wait, as drawn.
void start_copy(void* shared, const void* global, std::size_t bytes, bool valid, Site site);
void commit_copies();
/// Completes all groups of this thread but the newest `newest`.
void wait_for_copies(unsigned newest);

// ---- called by the handler of memory faults

void record_fault(const std::string& what, Site site);
/// Back to the scheduler, after `record_fault`; the thread's stack is forgotten as it is.
[[noreturn]] void leave_for_good();

/// A sentence on `address` where it belongs to the guards of shared memory or of a stack; else empty.
std::string describe_guard(const void* address);
/// The upper end of the running thread's stack, whose contents are given up.
void* empty_stack();

}  // namespace sea::simt
