#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <memory>
#include <vector>

namespace sea::simt {

/// A stack with guard pages that runs `entry` over and over: each `resume` goes on where the fiber last
/// called `yield`. Boost's own fiber class is not used because a fiber whose kernel touched forbidden memory
/// is dropped where it stands, and must not be unwound.
class Fiber {
 public:
  /// `offset` bytes at the stack's upper end stay unused: fibers of different offsets do not all want the
  /// same few sets of the cache.
  Fiber(std::size_t stack_bytes, std::size_t offset);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// From the scheduler: runs the fiber until it yields. A new or dropped fiber starts with
  /// `entry(argument)`, which must never return.
  void resume(void (*entry)(void*), void* argument);
  /// From within the fiber: back to the scheduler.
  void yield();
  /// From the scheduler: forgets where the fiber was.
  void drop();
  /// The stack's upper end, aligned to 16 bytes, for a fiber that is about to be dropped.
  void* empty_stack();
  /// Whether `address` lies in the guard pages around the stack.
  bool in_guard(const void* address) const;

 private:
  static void run(boost::context::detail::transfer_t transfer);

  std::byte* mapping_;
  std::size_t stack_bytes_;
  std::size_t offset_;
  boost::context::detail::fcontext_t context_ = nullptr;
  boost::context::detail::fcontext_t scheduler_ = nullptr;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  // What AddressSanitizer is told at each switch.
  void* fiber_fake_stack_ = nullptr;
  void* scheduler_fake_stack_ = nullptr;
  const void* scheduler_bottom_ = nullptr;
  std::size_t scheduler_bytes_ = 0;
};

/// Fibers made once and used by launch after launch.
class FiberPool {
 public:
  /// The fiber of a number, made where it does not exist yet.
  Fiber& at(std::size_t index);
  std::size_t size() const { return fibers_.size(); }

 private:
  std::vector<std::unique_ptr<Fiber>> fibers_;
};

}  // namespace sea::simt
