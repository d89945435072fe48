#pragma once

#include <stdexcept>
#include <string>

namespace sea {

/// What every failure of the library throws: one sentence that says what was wrong, where (file, line, value)
/// and what is allowed.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A command-line option or configuration value that cannot be used. The `sea` command exits with 2 for it.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace sea
