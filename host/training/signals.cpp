#include "training/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace sea {

namespace {

std::atomic<int> noted{0};
std::atomic<bool> deferred{false};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may not wait");
struct sigaction interrupt_before, terminate_before;

void handle(int signal) {
  if (!deferred.load() || noted.exchange(signal) != 0) _exit(128 + signal);
}

}  // namespace

SignalGuard::SignalGuard() {
  noted = 0;
  deferred = false;
  struct sigaction action = {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &interrupt_before);
  sigaction(SIGTERM, &action, &terminate_before);
}

SignalGuard::~SignalGuard() {
  sigaction(SIGINT, &interrupt_before, nullptr);
  sigaction(SIGTERM, &terminate_before, nullptr);
}

void SignalGuard::defer() {
  deferred = true;
}

int SignalGuard::received() {
  return noted.load();
}

}  // namespace sea
