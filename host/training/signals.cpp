#include "training/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <iterator>

namespace sea {

namespace {

std::atomic<int> noted{0};
std::atomic<bool> deferred{false}, asked{false};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may not wait");
constexpr int guarded[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
struct sigaction before[std::size(guarded)];

void handle(int signal) {
  if (!deferred.load()) _exit(128 + signal);
  int none = 0;
  noted.compare_exchange_strong(none, signal);
  const bool by_somebody = signal == SIGINT || signal == SIGTERM;
  if (by_somebody && asked.exchange(true)) _exit(128 + signal);
}

}  // namespace

SignalGuard::SignalGuard() {
  noted = 0;
  deferred = false;
  asked = false;
  struct sigaction action = {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(guarded); ++i) {
    sigaction(guarded[i], nullptr, &before[i]);
    if (guarded[i] == SIGHUP && before[i].sa_handler == SIG_IGN) continue;
    sigaction(guarded[i], &action, nullptr);
  }
}

SignalGuard::~SignalGuard() {
  for (std::size_t i = 0; i < std::size(guarded); ++i) sigaction(guarded[i], &before[i], nullptr);
}

void SignalGuard::defer() {
  deferred = true;
}

int SignalGuard::received() {
  return noted.load();
}

}  // namespace sea
