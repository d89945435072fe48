// apps/report.py and bench/figures.py on what is no run, or a damaged one. tests/report.sh looks at whole
// ones.

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/search.hpp"
#include "support/skip.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::entry_count;
using sea::test::line_count;
using sea::test::read_file;
using sea::test::run_command;
using sea::test::SearchSetting;
using sea::test::write_file;

namespace fs = std::filesystem;

namespace {

/// A Python that has what reports need; counts a skip where there is none.
std::string reporting_python() {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (run_command({python, "-c", "import matplotlib, jinja2, sklearn"}).code == 0) return python;
  }
  sea::test::skip("no python3 with matplotlib, jinja2 and sklearn");
  return {};
}

}  // namespace

TEST_CASE("report.py and figures.py: one clear sentence and no page for what cannot be shown",
          "[command][report]") {
  const std::string python = reporting_python();
  if (python.empty()) return;
  const SearchSetting setting;
  const fs::path folder = setting.folder.path(), run = folder / "run", other = folder / "other";
  const fs::path pages = folder / "pages";
  fs::create_directory(pages);
  const auto train = [&](const fs::path& into, const std::vector<std::string>& more) {
    REQUIRE(run_command(setting.words("train", into, more)).code == 0);
  };
  train(run, {"--quiet"});
  const auto check_refused = [&](const char* script, std::vector<std::string> words, const char* output,
                                 const std::vector<std::string>& parts) {
    words.insert(words.begin(), {python, "-B", sea::test::source_folder().string() + "/" + script});
    words.insert(words.end(), {"--sea", SEA_COMMAND, "--output", pages / output});
    const CommandResult result = run_command(words);
    INFO(result.error);
    CHECK(result.code != 0);
    CHECK(line_count(result.error) == 1);
    for (const std::string& part : parts) CHECK(contains(result.error, part));
    CHECK(entry_count(pages) == 0);
  };
  const auto report_refused = [&](const std::vector<std::string>& words,
                                  const std::vector<std::string>& parts) {
    check_refused("apps/report.py", words, "page.html", parts);
  };
  const auto figure_refused = [&](const std::vector<std::string>& words,
                                  const std::vector<std::string>& parts) {
    check_refused("bench/figures.py", words, "figure.svg", parts);
  };

  check_refused("apps/report.py", {run}, "page.pdf", {"page.pdf", ".html"});
  check_refused("apps/report.py", {run}, "no/page.html", {"no/page.html", "no folder"});
  report_refused({folder / "nowhere"}, {"nowhere", "is no run"});
  report_refused({run, run}, {"called 'SEAa'", "NAME=FOLDER"});
  report_refused({run, "--seed", "-1"}, {"--seed -1"});
  report_refused(std::vector<std::string>(9, run), {"9 runs", "8"});
  // Other data.
  sea::synthesize(folder / "data2", {150, 70, 1700, 16, 12}, 6, [](const char*, double) {});
  std::vector<std::string> words = setting.words("train", other, {"--quiet"});
  words[2] = folder / "data2";
  REQUIRE(run_command(words).code == 0);
  report_refused({run, other}, {"other", "data2", "other interactions"});
  report_refused({run, "--data", folder / "data2"}, {"data2", "not those that"});
  report_refused({run, "--data", folder / "gone"}, {"gone"});

  // A damaged run, file by file.
  const fs::path damaged = folder / "damaged";
  const auto damage = [&](const char* file, const std::string& content,
                          const std::vector<std::string>& parts) {
    INFO(file);
    fs::remove_all(damaged);
    fs::copy(run, damaged);
    if (content.empty()) {
      fs::remove(damaged / file);
    } else {
      write_file(damaged / file, content);
    }
    report_refused({damaged}, parts);
  };
  damage("config.json", "{", {"config.json", "cannot be read"});
  damage("config.json", "[]", {"config.json", "is not that of a run"});
  damage("config.json", "{\"model\": 7}", {"config.json", "is not that of a run"});
  damage("metrics.jsonl", "", {"metrics.jsonl"});
  const std::string lines = read_file(run / "metrics.jsonl");
  damage("metrics.jsonl", "\n", {"metrics.jsonl:1"});
  damage("metrics.jsonl", lines + "{\"epoch\": 4, \"train_loss\": {\"total\": null}}\n", {"metrics.jsonl:5"});
  damage("metrics.jsonl", lines.substr(0, lines.size() - 20), {"metrics.jsonl:"});
  damage("metrics.jsonl", "\xff\xfe\n", {"metrics.jsonl", "cannot be read"});
  damage("result.json", "{\"best_epoch\": 99}", {"result.json", "best_epoch"});
  damage("best.safetensors", "", {"best.safetensors"});
  damage("best.safetensors", "garbage", {"best.safetensors"});

  figure_refused({"3", folder / "nowhere"}, {"nowhere", "is no run"});
  figure_refused({"3", run, "--metric", "recall@7"}, {"recall@7"});
  figure_refused({"4", run}, {"tune.json"});
  figure_refused({"5", run}, {"micro"});
  figure_refused({"6", run, other}, {"one run"});
  figure_refused({"6", run, "--items", "3"}, {"--items 3", "10"});
  check_refused("bench/figures.py", {"6", run}, "figure.gif", {"figure.gif", ".svg"});
}
