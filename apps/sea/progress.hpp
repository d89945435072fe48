#pragma once

#include <string>

#include "training/trainer.hpp"

namespace sea {

/// Lines on stderr, of which the last one may be rewritten while it is a terminal.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  bool terminal() const { return terminal_; }
  /// Shows `line`, cut to the terminal's width, until the next call.
  void rewrite(const std::string& line);
  /// Leaves `line`, whole, where the rewritten one was.
  void finish(const std::string& line);

 private:
  bool terminal_, open_ = false;
};

/// Shows a training on stderr: on a terminal a line that rewrites itself, elsewhere a line per epoch.
class ProgressDisplay {
 public:
  /// `quiet` shows nothing. `metric` is the key of the validation metric.
  ProgressDisplay(bool quiet, std::string metric);

  /// Work before the first epoch: "neighbours of image_feat.npy".
  void show_stage(const std::string& what);
  /// "note: ..."
  void show_notice(const std::string& text);
  void show(const EpochProgress& progress);
  void show(const EpochRecord& record);

 private:
  bool quiet_;
  StatusLine line_;
  std::string metric_;
};

/// "1:02:03", "4:05", "12.3 s".
std::string duration_text(double seconds);

}  // namespace sea
