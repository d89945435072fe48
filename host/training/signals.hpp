#pragma once

namespace sea {

/// SIGINT and SIGTERM for as long as this lives. Before `defer` either ends the process at once with 128 +
/// its number; after it the first is only noted (see `received`), so that the work at hand can be saved, and
/// a second one ends the process. One object at a time.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  void defer();
  /// The signal that came, or 0.
  static int received();
};

}  // namespace sea
