#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace sea {

/// `sea train` in a process of its own. It has no terminal, is reached by no signal but those sent here, and
/// ends with the process that began it, however that ends.
class TrainProcess {
 public:
  /// `arguments` are those after `sea train`. The process inherits the descriptor `inherited`. Throws Error
  /// where none can be started.
  TrainProcess(const std::vector<std::string>& arguments, int inherited);
  /// Stops it where it still runs, and waits for it.
  ~TrainProcess();
  TrainProcess(const TrainProcess&) = delete;
  TrainProcess& operator=(const TrainProcess&) = delete;

  /// Of its stderr: where it can be read, `read` has something to do.
  int descriptor() const { return descriptor_; }
  /// Appends the whole lines that have come on stderr; false where there will be no more.
  bool read(std::vector<std::string>& lines);
  void signal(int number) const;
  /// Waits for its end; its exit code, 128 + n where signal n ended it.
  int wait();

 private:
  pid_t child_ = 0;
  int descriptor_ = -1;
  std::string rest_;
};

}  // namespace sea
