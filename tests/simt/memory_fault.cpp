#include "simt/memory_fault.hpp"

#include <ucontext.h>

#include <array>
#include <string>
#include <vector>

#include "simt/grid.hpp"

namespace sea::simt {

namespace {

// What the compiler's alignment check (tests/CMakeLists.txt) ends in.
#if defined(__x86_64__)
constexpr int unaligned_signal = SIGILL;
#else
constexpr int unaligned_signal = SIGTRAP;
#endif
constexpr std::array<int, 3> signals = {SIGSEGV, SIGBUS, unaligned_signal};

thread_local const DeviceMemory* memory_in_use = nullptr;
thread_local const void* fault_address = nullptr;
thread_local int fault_signal = 0;
thread_local const struct sigaction* previous_handlers[NSIG] = {};

// The thread goes on here instead of in its kernel, from the start of its stack, and the fiber is dropped.
[[noreturn]] void end_launch() {
  {
    std::string what;
    if (fault_signal == unaligned_signal) {
      what = "an access that is not aligned";
    } else {
      what = memory_in_use->describe(fault_address);
    }
    if (what.empty()) what = describe_guard(fault_address);
    if (what.empty()) what = "an access to memory that is not the device's, or that is not aligned";
    record_fault(what, Site());
  }
  leave_for_good();
}

void on_signal(int signal, siginfo_t* info, void* context) {
  if (!in_kernel()) {
    sigaction(signal, previous_handlers[signal], nullptr);
    return;  // the access is repeated and ends in the previous handler
  }
  fault_address = info->si_addr;
  fault_signal = signal;
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
  for (std::size_t i = 0; i < signals.size(); ++i) {
    sigaction(signals[i], &action, &previous_[i]);
    previous_handlers[signals[i]] = &previous_[i];
  }
}

MemoryFaultGuard::~MemoryFaultGuard() {
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &previous_[i], nullptr);
  sigaltstack(&previous_stack_, nullptr);
}

}  // namespace sea::simt
