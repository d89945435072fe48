#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sea/error.hpp"

// What a target is: one file that defines these two. libFuzzer brings `main`.
namespace sea::fuzz {

/// Inputs to begin from: some good, some bad, each near what a reader decides.
std::vector<std::string> seeds();

/// Reads `bytes` as the reader under test; calls `fail` where what it returns cannot be.
void read(std::string_view bytes);

/// Ends the process as a finding.
[[noreturn]] void fail(const std::string& why);

/// Calls `body`, which may throw Error: one line of printable text, not longer than a screen. Any other
/// exception is a finding.
template <class Body>
void expect_sentence(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    const std::string_view text = error.what();
    if (text.empty() || text.size() > 1000)
      fail("an error message of " + std::to_string(text.size()) + " bytes");
    for (const char c : text) {
      if (c < ' ' || c > '~') fail("an error message with unprintable bytes: " + std::string(text));
    }
  }
}

/// "[[[ ... ]]]".
inline std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace sea::fuzz
