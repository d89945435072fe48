#include "cpu/thread_pool.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <utility>

#include "sea/error.hpp"

namespace sea {

namespace {

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

/// Waits until `value` is no longer `old`: spins first, since the next block of work is mostly microseconds
/// away.
template <class T>
T wait_while_equal(const std::atomic<T>& value, T old) {
  for (int spin = 0; spin < 4000; ++spin) {
    const T now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  // Signals belong to the thread that owns the pool.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    for (int slot = 1; slot < threads; ++slot) workers_.emplace_back([this, slot] { work(slot); });
  } catch (const std::exception& error) {  // std::system_error, or std::bad_alloc
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    stop();
    throw Error(fmt::format("CpuBackend: {} threads were asked for and {} could be had ({}); ask for fewer",
                            threads, this->threads(), error.what()));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  stop_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::work_through(int slot) {
  for (;;) {
    const std::int64_t block = next_block_.fetch_add(1, std::memory_order_relaxed);
    if (block >= job_.blocks) return;
    try {
      job_.call(job_.body, block, slot);
    } catch (...) {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
}

void ThreadPool::work(int slot) {
  std::uint32_t seen = 0;
  for (;;) {
    seen = wait_while_equal(generation_, seen);
    if (stop_.load(std::memory_order_relaxed)) return;
    work_through(slot);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

void ThreadPool::run(const Job& job) {
  if (workers_.empty() || job.blocks <= 1) {
    for (std::int64_t block = 0; block < job.blocks; ++block) job.call(job.body, block, 0);
    return;
  }
  job_ = job;
  next_block_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work_through(0);
  for (int left = busy_.load(std::memory_order_acquire); left != 0;) left = wait_while_equal(busy_, left);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace sea
