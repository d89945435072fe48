#pragma once

#include <chrono>
#include <string>

#include "training/trainer.hpp"

namespace sea {

/// Shows a training on stderr: on a terminal a line that rewrites itself, elsewhere a line an epoch.
class ProgressDisplay {
 public:
  /// `quiet` shows nothing. `metric` is the key of the validation metric.
  ProgressDisplay(bool quiet, std::string metric);
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  /// Work before the first epoch: "neighbours of image_feat.npy".
  void show_stage(const std::string& what);
  void show(const EpochProgress& progress);
  void show(const EpochRecord& record);

 private:
  void rewrite(const std::string& line);
  void finish_line(const std::string& line);

  bool quiet_, terminal_, open_line_ = false;
  std::string metric_;
};

/// "1:02:03", "4:05", "12.3 s".
std::string duration_text(double seconds);

}  // namespace sea
