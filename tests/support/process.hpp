#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/command.hpp"
#include "support/files.hpp"

namespace sea::test {

/// A program that runs beside the test. Killed at the end of the scope where it is still there.
class BackgroundProcess {
 public:
  using Attributes = std::function<void(posix_spawn_file_actions_t&, posix_spawnattr_t&)>;

  /// `attributes` may give it other streams than no input and two files.
  explicit BackgroundProcess(std::vector<std::string> words, const Attributes& attributes = {}) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, error_.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawnattr_t more;
    posix_spawnattr_init(&more);
    if (attributes) attributes(actions, more);
    default_signals(more);
    const int problem = posix_spawnp(&child_, arguments[0], &actions, &more, arguments.data(), environ);
    posix_spawnattr_destroy(&more);
    posix_spawn_file_actions_destroy(&actions);
    if (problem != 0) throw std::runtime_error(words[0] + " could not be started");
  }
  ~BackgroundProcess() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      wait();
    }
  }
  BackgroundProcess(const BackgroundProcess&) = delete;
  BackgroundProcess& operator=(const BackgroundProcess&) = delete;

  void signal(int number) const { ::kill(child_, number); }

  /// Waits until `condition` holds; false where the program ended first.
  bool wait_until(const std::function<bool()>& condition) {
    while (!condition()) {
      siginfo_t info = {};
      if (::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid != 0)
        return condition();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  /// Waits for the end of the program.
  CommandResult wait() {
    int status = 0;
    while (waitpid(child_, &status, 0) < 0) {
      if (errno != EINTR) throw std::runtime_error("a program could not be waited for");
    }
    child_ = 0;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return {code, read_file(out_), read_file(error_)};
  }

 private:
  /// As under a terminal: a test that runs under nohup ignores SIGHUP, and its children would inherit that.
  static void default_signals(posix_spawnattr_t& more) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM}) sigaddset(&signals, number);
    posix_spawnattr_setsigdefault(&more, &signals);
    short flags = 0;
    posix_spawnattr_getflags(&more, &flags);
    posix_spawnattr_setflags(&more, static_cast<short>(flags | POSIX_SPAWN_SETSIGDEF));
  }

  TemporaryFolder folder_;
  std::string out_ = folder_ / "out", error_ = folder_ / "error";
  pid_t child_ = 0;
};

}  // namespace sea::test
