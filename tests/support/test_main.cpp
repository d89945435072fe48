#include <cstdlib>
#include <iostream>
#include <map>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include "support/backend_under_test.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"

namespace sea::test {

namespace {
std::map<std::string, int>& skipped() {
  static std::map<std::string, int> reasons;
  return reasons;
}
}  // namespace

void skip(const std::string& reason) {
  ++skipped()[reason];
}

std::optional<std::filesystem::path> shared_folder() {
  const char* named = std::getenv("SEA_SHARED");
  const std::filesystem::path folder =
      named != nullptr ? named : sea::test::source_folder().parent_path() / "shared";
  if (std::filesystem::is_directory(folder)) return folder;
  skip("no golden cases or real data at " + folder.string());
  return std::nullopt;
}

}  // namespace sea::test

int main(int argc, char** argv) {
  setenv("SEA_CACHE", "", 1);  // no test depends on what an earlier one left, nor leaves anything
  int result = 0;
  if (sea::test::backend_under_test() == nullptr) {
    sea::test::skip("no GPU");
  } else {
    result = Catch::Session().run(argc, argv);
  }
  int total = 0;
  for (const auto& [reason, count] : sea::test::skipped()) {
    std::cout << "skipped " << count << ": " << reason << '\n';
    total += count;
  }
  std::cout << "tests skipped: " << total << std::endl;
  return result;
}
