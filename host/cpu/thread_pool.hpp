#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace sea {

/// A fixed set of threads that work through numbered blocks together. The caller is one of them. Blocks are
/// handed out as threads become free, so that code in a block may depend on its number alone.
class ThreadPool {
 public:
  /// Throws Error where the system does not start so many.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls `body(block, slot)` for every block in [0, blocks) and returns when all have finished. `slot` in
  /// [0, threads()) tells which thread runs it: two blocks that run at the same time have different slots.
  /// The first exception of a block is thrown again here. Allocates nothing.
  template <class Body>
  void parallel_for(std::int64_t blocks, const Body& body) {
    run({blocks, &body, [](const void* object, std::int64_t block, int slot) {
           (*static_cast<const Body*>(object))(block, slot);
         }});
  }

 private:
  struct Job {
    std::int64_t blocks = 0;
    const void* body = nullptr;
    void (*call)(const void*, std::int64_t, int) = nullptr;
  };

  void run(const Job& job);
  /// Ends the workers and waits for them.
  void stop();
  void work(int slot);
  void work_through(int slot);

  Job job_;
  std::atomic<std::int64_t> next_block_{0};
  std::atomic<std::uint32_t> generation_{0};
  std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
  std::exception_ptr failure_;
  std::mutex failure_mutex_;
  std::vector<std::thread> workers_;
};

}  // namespace sea
