// The floors of docs/architecture.md.

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

namespace fs = std::filesystem;

namespace {

/// A folder of files, and what these may include beside their own: what lies on the floors below.
struct Floor {
  std::string folder;
  std::set<std::string> below;
};

const std::vector<Floor> floors = {
    {"include/sea", {"sea"}},
    {"include/sea/detail", {"sea"}},
    {"host/cpu", {"sea"}},
    {"kernels", {"sea", "common", "simt"}},
    {"kernels/common", {"sea", "simt"}},
    {"host/program", {"sea"}},
    {"host/data", {"sea"}},
    {"host/configuration", {"sea", "data"}},
    {"host/models", {"sea", "program", "data", "configuration"}},
    {"host/training", {"sea", "program", "data", "configuration", "models"}},
    {"apps/sea", {"sea", "program", "data", "configuration", "models", "training"}}};

}  // namespace

TEST_CASE("floors: an include never goes up", "[floors]") {
  const std::regex include(R"re(^#include "(?:([a-z]+)/)?[^"]*")re");
  for (const Floor& floor : floors) {
    const fs::path folder = sea::test::source_folder() / floor.folder;
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      std::istringstream lines(sea::test::read_file(entry.path()));
      for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        if (!std::regex_search(line, match, include)) continue;
        INFO(entry.path().string() << ": " << line);
        const std::string from = match[1];  // empty: a file beside it
        CHECK((from.empty() || from == folder.filename() || floor.below.count(from) != 0));
      }
    }
    CHECK(files > 0);
  }
}
