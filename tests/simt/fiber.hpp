#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <deque>

namespace sea::simt {

/// A stack with guard pages that runs `entry`, which never returns; or, made without arguments, the thread of
/// the operating system that switches to such ones. Boost's own fiber class is not used because a fiber whose
/// kernel touched forbidden memory is dropped where it stands, and must not be unwound.
class Fiber {
 public:
  Fiber() = default;
  /// `offset` bytes at the stack's upper end stay unused: fibers of different offsets do not all want the
  /// same few sets of the cache.
  Fiber(void (*entry)(), std::size_t stack_bytes, std::size_t offset);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// From the running fiber to another one, which goes on where it last switched away; a new or dropped one
  /// starts at its entry. Returns when somebody switches back.
  void switch_to(Fiber& other);
  /// Forgets where the fiber was.
  void drop();
  /// The stack's upper end, aligned to 16 bytes, for a fiber that is about to be dropped.
  void* empty_stack();
  /// Whether `address` lies in the guard pages around the stack.
  bool in_guard(const void* address) const;

 private:
  static void start(boost::context::detail::transfer_t transfer);
  /// The running fiber has got the processor from the one in `transfer`.
  void arrive(boost::context::detail::transfer_t transfer);

  boost::context::detail::fcontext_t context_ = nullptr;
  void* fake_stack_ = nullptr;  ///< AddressSanitizer's, as are the bounds of the stack
  const void* bottom_ = nullptr;
  std::size_t stack_bytes_ = 0;
  std::size_t offset_ = 0;
  void (*entry_)() = nullptr;
  std::byte* mapping_ = nullptr;
};

/// Fibers made once and used by launch after launch.
class FiberPool {
 public:
  explicit FiberPool(void (*entry)()) : entry_(entry) {}
  /// The fiber of a number, made where it does not exist yet.
  Fiber& at(std::size_t index);

 private:
  void (*entry_)();
  std::deque<Fiber> fibers_;
};

}  // namespace sea::simt
