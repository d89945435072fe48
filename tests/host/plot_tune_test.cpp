// bench/plot_tune.py on a finished search.

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/search.hpp"
#include "support/skip.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::json_of;
using sea::test::line_count;
using sea::test::read_file;
using sea::test::TemporaryFolder;
using sea::test::whole_search;
using sea::test::WholeSearch;
using sea::test::write_file;

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

/// A Python that has matplotlib; counts a skip where there is none.
std::string plotting_python() {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (sea::test::run_command({python, "-c", "import matplotlib"}).code == 0) return python;
  }
  sea::test::skip("no python3 with matplotlib");
  return {};
}

}  // namespace

TEST_CASE("plot_tune.py: a picture of a search, and one clear line where there is none", "[command][tune]") {
  const std::string python = plotting_python();
  if (python.empty()) return;
  const WholeSearch& w = whole_search();
  const TemporaryFolder folder;
  const std::string script = sea::test::source_folder().string() + "/bench/plot_tune.py";
  const auto plot = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {python, "-B", script});
    return sea::test::run_command(more);
  };
  const fs::path picture = folder / "picture.svg";
  const CommandResult drawn = plot({w.folder, "--output", picture});
  INFO(drawn.error);
  REQUIRE(drawn.code == 0);
  const std::string svg = read_file(picture);
  CHECK(contains(svg, "<svg"));
  for (const char* part : {"learning_rate", "align", "solosim", "none", "Recall@20"})
    CHECK(contains(svg, part));
  // The points, as numbers: the best on validation of those that share a value.
  const CommandResult listed = plot({w.folder, "--output", picture, "--metric", "ndcg@10", "--print"});
  REQUIRE(listed.code == 0);
  const Json rows = json_of(w.folder / "tune.json")["rows"];
  std::string expected;
  for (const auto& [key, pairs] : std::vector<std::pair<std::string, std::vector<std::vector<std::size_t>>>>{
           {"learning_rate", {{0, 1}, {2, 3}}}, {"align", {{0, 2}, {1, 3}}}}) {
    for (const std::vector<std::size_t>& pair : pairs) {
      const auto valid = [&](std::size_t i) { return rows[i]["valid"]["recall@20"].get<double>(); };
      const Json& row = rows[valid(pair[1]) > valid(pair[0]) ? pair[1] : pair[0]];
      const Json& value = row["values"][key];
      expected += fmt::format("{}\t{}\t{:.6f}\t{:.6f}\n", key,
                              value.is_string() ? value.get<std::string>() : value.dump(),
                              row["valid"]["ndcg@10"].get<double>(), row["test"]["ndcg@10"].get<double>());
    }
  }
  CHECK(listed.out == expected);

  const auto check_refused = [&](const std::vector<std::string>& more, const std::string& part) {
    const CommandResult result = plot(more);
    INFO(result.error);
    CHECK(result.code != 0);
    CHECK(line_count(result.error) == 1);
    CHECK(contains(result.error, part));
  };
  const fs::path none = folder / "none.svg";
  check_refused({folder / "nowhere", "--output", none}, "tune.json");
  check_refused({w.folder, "--output", none, "--metric", "recall@7"}, "recall@7");
  check_refused({w.folder, "--output", folder / "no" / "none.svg"}, "none.svg");
  write_file(folder / "bad" / "tune.json", "{}");
  check_refused({folder / "bad", "--output", none}, "is not that of a search");
  CHECK(!fs::exists(none));
}
