#include "progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "output.hpp"

namespace sea {

namespace {

std::string loss_text(const LossMeans& losses) {
  std::string text;
  for (const auto& [name, mean] : losses)
    text += fmt::format("{}{} {:.4g}", text.empty() ? "" : " ", name == "total" ? "loss" : name, mean);
  return text;
}

std::string rate_text(double samples_per_second) {
  return samples_per_second < 1e4 ? fmt::format("{:.0f} samples/s", samples_per_second)
                                  : fmt::format("{:.1f}k samples/s", samples_per_second / 1e3);
}

int terminal_columns() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string duration_text(double seconds) {
  if (seconds < 60.0) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

StatusLine::~StatusLine() {
  if (open_) write_stderr("\n");
}

void StatusLine::rewrite(const std::string& line) {
  // A line that wraps cannot be rewritten.
  const auto width = static_cast<std::size_t>(std::max(terminal_columns() - 1, 20));
  write_stderr(fmt::format("\r{}\033[K", line.substr(0, width)));
  open_ = true;
}

void StatusLine::finish(const std::string& line) {
  write_stderr(fmt::format("{}{}\n", open_ ? "\r\033[K" : "", line));
  open_ = false;
}

ProgressDisplay::ProgressDisplay(bool quiet, std::string metric)
    : quiet_(quiet), metric_(std::move(metric)) {}

void ProgressDisplay::show_stage(const std::string& what) {
  if (quiet_) return;
  if (line_.terminal()) {
    line_.rewrite(what + " ...");
  } else {
    line_.finish(what);
  }
}

void ProgressDisplay::show_notice(const std::string& text) {
  if (!quiet_) line_.finish("note: " + text);
}

void ProgressDisplay::show(const EpochProgress& progress) {
  if (quiet_ || !line_.terminal()) return;
  const int width = terminal_columns() < 120 ? 10 : 20;
  const int filled = static_cast<int>(progress.step * width / std::max<std::int64_t>(progress.steps, 1));
  line_.rewrite(fmt::format("epoch {} [{}{}] {}/{} {} left, {}, {}", progress.epoch, std::string(filled, '#'),
                            std::string(width - filled, '.'), progress.step, progress.steps,
                            duration_text(progress.seconds_left), rate_text(progress.samples_per_second),
                            loss_text(progress.losses)));
}

void ProgressDisplay::show(const EpochRecord& record) {
  if (quiet_) return;
  std::string line = fmt::format("epoch {}  {}  {}  {}", record.epoch, loss_text(record.losses),
                                 duration_text(record.train_seconds), rate_text(record.samples_per_second));
  if (record.valid) {
    line += fmt::format("  valid {} {:.4f}{}", metric_, record.valid->at(metric_), record.best ? " *" : "");
  }
  line_.finish(line);
}

}  // namespace sea
