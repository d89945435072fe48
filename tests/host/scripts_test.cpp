// The scripts of bench/ on a machine that lacks what they need.

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

using sea::test::CommandResult;
using sea::test::run_command;
using sea::test::TemporaryFolder;
using sea::test::write_file;

TEST_CASE("scripts: what is missing is named in one line", "[scripts]") {
  if (!sea::test::has_python()) return;
  const TemporaryFolder folder;
  write_file(folder / "step.json", R"({"profile": {"forward bpr": 1.0}})");
  const auto error_of = [](const std::string& script, const std::vector<std::string>& arguments) {
    // Without site-packages: the standard library alone.
    std::vector<std::string> words = {"python3", "-B", "-E", "-S",
                                      sea::test::source_folder().string() + "/bench/" + script};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const CommandResult result = run_command(words);
    CHECK(result.code == 1);
    return result.error;
  };
  CHECK(error_of("large_data.py", {folder / "data"}) ==
        "error: this needs NumPy: apt-get install python3-numpy\n");
  CHECK(error_of("plot_step.py", {folder / "step.json", "--output", folder / "step.svg"}) ==
        "error: a picture needs matplotlib: apt-get install python3-matplotlib\n");
  const std::string nowhere = folder / "bin";
  CHECK(error_of("growth.py", {"--bin", nowhere}) ==
        "error: " + nowhere +
            "/sea is not there; cmake --preset release -DSEA_BENCH=ON and a build make it\n");
}
