#include "simt/fiber.hpp"

#include <sys/mman.h>

#include <new>

#include "simt/sanitizer.hpp"

namespace sea::simt {

namespace {

namespace context = boost::context::detail;

constexpr std::size_t guard_bytes = 64 * 1024;  // whole pages on every machine, and more than one frame

/// Who is being switched to: a fiber that starts has no other way to know itself.
thread_local Fiber* target = nullptr;

}  // namespace

Fiber::Fiber(void (*entry)(), std::size_t stack_bytes, std::size_t offset)
    : stack_bytes_(stack_bytes), offset_(offset), entry_(entry) {
  void* mapping = mmap(nullptr, stack_bytes + 2 * guard_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  if (mprotect(mapping_ + guard_bytes, stack_bytes, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  bottom_ = mapping_ + guard_bytes;
}

Fiber::~Fiber() {
  if (mapping_ == nullptr) return;
  drop();
  munmap(mapping_, stack_bytes_ + 2 * guard_bytes);
}

void Fiber::arrive(context::transfer_t transfer) {
  auto* from = static_cast<Fiber*>(transfer.data);
  from->context_ = transfer.fctx;
  finish_switch(fake_stack_, &from->bottom_, &from->stack_bytes_);
}

void Fiber::start(context::transfer_t transfer) {
  Fiber* self = target;
  self->fake_stack_ = nullptr;
  self->arrive(transfer);
  self->entry_();
}

void Fiber::switch_to(Fiber& other) {
  if (other.context_ == nullptr) {
    std::byte* top = other.mapping_ + guard_bytes + other.stack_bytes_ - other.offset_;
    other.context_ = context::make_fcontext(top, other.stack_bytes_ - other.offset_, &Fiber::start);
    target = &other;
  }
  start_switch(&fake_stack_, other.bottom_, other.stack_bytes_);
  arrive(context::jump_fcontext(other.context_, this));
}

void Fiber::drop() {
  context_ = nullptr;
  unpoison(bottom_, stack_bytes_);
}

void* Fiber::empty_stack() {
  unpoison(bottom_, stack_bytes_);
  return mapping_ + guard_bytes + stack_bytes_;
}

bool Fiber::in_guard(const void* address) const {
  const auto* byte = static_cast<const std::byte*>(address);
  const std::byte* first = mapping_ + guard_bytes;
  return (byte >= mapping_ && byte < first) ||
         (byte >= first + stack_bytes_ && byte < first + stack_bytes_ + guard_bytes);
}

Fiber& FiberPool::at(std::size_t index) {
  constexpr std::size_t stack_bytes = (address_sanitizer ? 256u : 64u) * 1024u;
  while (fibers_.size() <= index) fibers_.emplace_back(entry_, stack_bytes, fibers_.size() % 13 * 320);
  return fibers_[index];
}

}  // namespace sea::simt
