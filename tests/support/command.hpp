#pragma once

#include <string>
#include <vector>

namespace sea::test {

/// What a program left: its exit code (128 + n where signal n ended it), stdout and stderr.
struct CommandResult {
  int code = 0;
  std::string out, error;
};

/// Runs a program, looked for on the PATH where its name has no slash, without a shell, and waits for its
/// end. Code 127 where there is no such program.
CommandResult run_command(const std::vector<std::string>& words);

/// Whether python3 is there; counts a skip where it is not.
bool has_python();

}  // namespace sea::test
