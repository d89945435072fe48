#include "train_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sea/error.hpp"

namespace sea {

namespace {

/// What the new process does before it is `sea train`; only what is allowed between fork and exec.
[[noreturn]] void become_train(char* const* words, pid_t parent, int null, int error, int inherited,
                               const sigset_t& mask) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) _exit(1);
  ::setpgid(0, 0);  // Ctrl-C on the terminal does not reach it
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(error, STDERR_FILENO);
  ::fcntl(inherited, F_SETFD, 0);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execv("/proc/self/exe", words);
  _exit(127);
}

}  // namespace

TrainProcess::TrainProcess(const std::vector<std::string>& arguments, int inherited) {
  std::vector<std::string> copies = {"sea", "train"};
  copies.insert(copies.end(), arguments.begin(), arguments.end());
  std::vector<char*> words;
  for (std::string& word : copies) words.push_back(word.data());
  words.push_back(nullptr);

  const auto fail = [](int reason) {
    throw Error(fmt::format("a process for a run cannot be started: {}", std::strerror(reason)));
  };
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail(errno);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  // A signal that is sent before the process is `sea train` waits until it is, and is not lost.
  sigset_t held, before;
  sigemptyset(&held);
  sigaddset(&held, SIGINT);
  sigaddset(&held, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &held, &before);
  const pid_t parent = ::getpid();
  child_ = ::fork();
  const int reason = errno;
  if (child_ == 0) become_train(words.data(), parent, null, ends[1], inherited, before);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(ends[1]);
  ::close(null);
  descriptor_ = ends[0];
  if (child_ > 0) return;
  ::close(descriptor_);
  fail(reason);
}

TrainProcess::~TrainProcess() {
  if (child_ > 0) {
    signal(SIGTERM);
    wait();
  }
  ::close(descriptor_);
}

bool TrainProcess::read(std::vector<std::string>& lines) {
  std::array<char, 4096> block;
  const ssize_t count = ::read(descriptor_, block.data(), block.size());
  if (count < 0) return errno == EINTR;
  rest_.append(block.data(), static_cast<std::size_t>(count));
  for (std::size_t end; (end = rest_.find('\n')) != std::string::npos; rest_.erase(0, end + 1))
    lines.push_back(rest_.substr(0, end));
  return count > 0;
}

void TrainProcess::signal(int number) const {
  if (child_ > 0) ::kill(child_, number);
}

int TrainProcess::wait() {
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace sea
