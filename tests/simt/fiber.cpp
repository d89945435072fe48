#include "simt/fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "simt/sanitizer.hpp"

namespace sea::simt {

namespace {

namespace context = boost::context::detail;

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

Fiber::Fiber(std::size_t stack_bytes, std::size_t offset) : stack_bytes_(stack_bytes), offset_(offset) {
  const std::size_t guard = page_bytes();
  void* mapping = mmap(nullptr, stack_bytes + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  if (mprotect(mapping_ + guard, stack_bytes, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
}

Fiber::~Fiber() {
  drop();
  munmap(mapping_, stack_bytes_ + 2 * page_bytes());
}

void Fiber::run(context::transfer_t transfer) {
  auto* self = static_cast<Fiber*>(transfer.data);
  self->scheduler_ = transfer.fctx;
  finish_switch(nullptr, &self->scheduler_bottom_, &self->scheduler_bytes_);
  self->entry_(self->argument_);
}

void Fiber::resume(void (*entry)(void*), void* argument) {
  std::byte* bottom = mapping_ + page_bytes();
  if (context_ == nullptr) {
    entry_ = entry;
    argument_ = argument;
    context_ = context::make_fcontext(bottom + stack_bytes_ - offset_, stack_bytes_ - offset_, &Fiber::run);
  }
  start_switch(&scheduler_fake_stack_, bottom, stack_bytes_);
  context_ = context::jump_fcontext(context_, this).fctx;
  finish_switch(scheduler_fake_stack_, nullptr, nullptr);
}

void Fiber::yield() {
  start_switch(&fiber_fake_stack_, scheduler_bottom_, scheduler_bytes_);
  scheduler_ = context::jump_fcontext(scheduler_, nullptr).fctx;
  finish_switch(fiber_fake_stack_, &scheduler_bottom_, &scheduler_bytes_);
}

void Fiber::drop() {
  context_ = nullptr;
  unpoison(mapping_ + page_bytes(), stack_bytes_);
}

void* Fiber::empty_stack() {
  unpoison(mapping_ + page_bytes(), stack_bytes_);
  return mapping_ + page_bytes() + stack_bytes_;
}

bool Fiber::in_guard(const void* address) const {
  const auto* byte = static_cast<const std::byte*>(address);
  const std::size_t guard = page_bytes();
  return (byte >= mapping_ && byte < mapping_ + guard) ||
         (byte >= mapping_ + guard + stack_bytes_ && byte < mapping_ + 2 * guard + stack_bytes_);
}

Fiber& FiberPool::at(std::size_t index) {
  constexpr std::size_t stack_bytes = (address_sanitizer ? 256u : 64u) * 1024u;
  while (fibers_.size() <= index) {
    fibers_.push_back(std::make_unique<Fiber>(stack_bytes, fibers_.size() % 13 * 320));
  }
  return *fibers_[index];
}

}  // namespace sea::simt
