#include "simt/memory_fault.hpp"

#include <ucontext.h>

#include <vector>

#include "simt/grid.hpp"

namespace sea::simt {

namespace {

thread_local const DeviceMemory* memory_in_use = nullptr;
thread_local const void* fault_address = nullptr;
thread_local const struct sigaction* previous_handlers[2] = {};

// The thread goes on here instead of in its kernel, from the start of its stack, and the fiber is dropped.
[[noreturn]] void end_launch() {
  {
    std::string what = memory_in_use->describe(fault_address);
    if (what.empty()) what = describe_guard(fault_address);
    if (what.empty()) what = "an access to memory that is not the device's, or that is not aligned";
    record_fault(what, Site());
  }
  leave_for_good();
}

void on_signal(int signal, siginfo_t* info, void* context) {
  if (!in_kernel()) {
    sigaction(signal, previous_handlers[signal == SIGSEGV ? 0 : 1], nullptr);
    return;  // the access is repeated and ends in the previous handler
  }
  fault_address = info->si_addr;
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  registers.gregs[REG_RSP] = reinterpret_cast<greg_t>(empty_stack()) - 8;  // as after a call
  registers.gregs[REG_RIP] = reinterpret_cast<greg_t>(&end_launch);
#elif defined(__aarch64__)
  registers.sp = reinterpret_cast<unsigned long long>(empty_stack());
  registers.pc = reinterpret_cast<unsigned long long>(&end_launch);
#else
#error "memory faults of emulated kernels are not handled on this processor"
#endif
}

std::vector<char>& signal_stack() {
  static thread_local std::vector<char> stack(64 * 1024);
  return stack;
}

}  // namespace

MemoryFaultGuard::MemoryFaultGuard(const DeviceMemory& memory) {
  memory_in_use = &memory;
  stack_t stack{};
  stack.ss_sp = signal_stack().data();
  stack.ss_size = signal_stack().size();
  sigaltstack(&stack, &previous_stack_);
  struct sigaction action {};
  action.sa_sigaction = &on_signal;
  // The handler is left through another function, so the signal stays unblocked.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous_segv_);
  sigaction(SIGBUS, &action, &previous_bus_);
  previous_handlers[0] = &previous_segv_;
  previous_handlers[1] = &previous_bus_;
}

MemoryFaultGuard::~MemoryFaultGuard() {
  sigaction(SIGSEGV, &previous_segv_, nullptr);
  sigaction(SIGBUS, &previous_bus_, nullptr);
  sigaltstack(&previous_stack_, nullptr);
}

}  // namespace sea::simt
