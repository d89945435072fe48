#include "output.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>

#include "commands.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

[[noreturn]] void stdout_failed(int reason) {
  if (reason == EPIPE) throw ExitCode{128 + SIGPIPE};
  throw Error(fmt::format("stdout: cannot be written: {}", std::strerror(reason)));
}

}  // namespace

void open_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    // `open` gives the lowest number that is free: this one.
    if (::open("/dev/null", O_RDWR) != descriptor) _exit(1);
  }
}

void write_stdout(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) stdout_failed(errno);
}

void flush_stdout() {
  if (std::fflush(stdout) != 0) stdout_failed(errno);
}

void write_stderr(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written == 0 || (written < 0 && errno != EINTR)) return;
  }
}

void print_notice(const std::string& text) {
  write_stderr(fmt::format("note: {}\n", text));
}

void print_error(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  write_stderr(fmt::format("error: {}\n", text));
}

std::string shell_quoted(const std::string& word) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_-./=:@%+,").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

std::string shell_command(const std::vector<std::string>& words) {
  std::string text = shell_quoted(program_invocation_name);
  for (const std::string& word : words) text += " " + shell_quoted(word);
  return text;
}

}  // namespace sea
