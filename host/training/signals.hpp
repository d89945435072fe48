#pragma once

namespace sea {

/// SIGINT, SIGTERM, SIGHUP (unless the process was begun to ignore it, as by nohup) and SIGPIPE for as long
/// as this lives. Before `defer` each ends the process at once with 128 + its number; after it the first is
/// only noted (see `received`), so that the work at hand can be saved. A second SIGINT or SIGTERM ends the
/// process; SIGHUP and SIGPIPE, of which a closed terminal sends several, never hasten the end. One object at
/// a time.
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
