#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sea {

/// Opens standard input, output and error on /dev/null where they are closed: a file that is opened later
/// would take their number, and what is printed would land in it.
void open_standard_descriptors();

/// A result on stdout. Throws Error where it cannot be written, and ExitCode 141 (128 + SIGPIPE) where nobody
/// reads it any more.
void write_stdout(std::string_view text);
/// Whatever has been written leaves the process; throws likewise.
void flush_stdout();

/// Progress, a notice or an error on stderr. What cannot be shown is not shown: it never throws.
void write_stderr(std::string_view text) noexcept;

template <typename... Arguments>
void print_result(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  write_stdout(fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// "note: ..." on stderr.
void print_notice(const std::string& text);
/// "error: ..." on stderr, one line whatever `text` may hold.
void print_error(std::string text);

/// A word as a shell reads it back.
std::string shell_quoted(const std::string& word);
/// "sea train data --resume": the command `sea` as it was called, and `words`, for a shell.
std::string shell_command(const std::vector<std::string>& words);

}  // namespace sea
