// `sea tune` with drawn combinations, a budget of epochs and halving: what it trains, and that neither jobs
// nor interruptions change it.

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/process.hpp"
#include "support/search.hpp"

using sea::test::BackgroundProcess;
using sea::test::CommandResult;
using sea::test::contains;
using sea::test::json_of;
using sea::test::line_count;
using sea::test::read_file;
using sea::test::TemporaryFolder;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// A small data set, made once for all tests of this file, and the words of searches on it.
struct Setting {
  TemporaryFolder folder;
  fs::path data = folder / "data";
  Setting() {
    sea::synthesize(data, {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
  }
};

const Setting& setting() {
  static const Setting once;
  return once;
}

std::vector<std::string> tune_words(const fs::path& output, const std::vector<std::string>& more) {
  std::vector<std::string> words = {
      SEA_COMMAND,        "tune",  setting().data,         "--output",  output, "--model", "bpr", "--set",
      "embedding_size=8", "--set", "train_batch_size=256", "--threads", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

CommandResult tune(const fs::path& output, const std::vector<std::string>& more) {
  return sea::test::run_command(tune_words(output, more));
}

/// What a search found, without what time tells.
Json outcome_of(const fs::path& folder) {
  Json json = json_of(folder / "tune.json");
  for (Json& row : json["rows"]) {
    row.erase("total_seconds");
    row["config"].erase("threads");
  }
  return json;
}

Json rows_of(const fs::path& folder) {
  return json_of(folder / "tune.json")["rows"];
}

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<std::string> drawn_words(const std::vector<std::string>& more) {
  std::vector<std::string> words = {"--range", "learning_rate=1e-3:0.1:log", "--grid",
                                    "reg_weight=0,0.01,0.1"};
  return with(words, more);
}

}  // namespace

TEST_CASE("sea tune --random: so many rows, each drawn, and each a run like any other", "[command][tune]") {
  const TemporaryFolder folder;
  const fs::path one = folder / "one", two = folder / "two", more = folder / "more", other = folder / "other";
  const std::vector<std::string> words = drawn_words({"--epochs", "2", "--random", "5"});
  const CommandResult result = tune(one, words);
  INFO(result.error);
  REQUIRE(result.code == 0);
  const Json json = json_of(one / "tune.json");
  CHECK(json["grid"] == Json::parse(R"({"reg_weight": [0.0, 0.01, 0.1]})"));
  CHECK(json["ranges"] == Json::parse(R"({"learning_rate": {"low": 0.001, "high": 0.1, "log": true}})"));
  CHECK(json["plan"] == Json::parse(R"({"random": 5, "search_seed": 999})"));
  REQUIRE(json["rows"].size() == 5);
  std::set<double> rates;
  for (const Json& row : json["rows"]) {
    const double rate = row["values"]["learning_rate"].get<double>();
    CHECK((rate >= 0.001 && rate <= 0.1));
    CHECK(row["config"]["learning_rate"] == rate);
    CHECK(row["config"]["reg_weight"] == row["values"]["reg_weight"]);
    CHECK(row["epochs_run"] == 2);
    CHECK(!row.contains("rungs"));
    rates.insert(rate);
  }
  CHECK(rates.size() == 5);
  CHECK(line_count(result.out) == 7);

  // The same whatever is trained at a time; a larger number begins with the same; another seed does not.
  REQUIRE(tune(two, with(words, {"--jobs", "3", "--quiet"})).code == 0);
  CHECK(outcome_of(two) == outcome_of(one));
  const auto values_of = [](const fs::path& search) {
    std::vector<std::string> values;
    for (const Json& row : rows_of(search)) values.push_back(row["values"].dump());
    return values;
  };
  REQUIRE(tune(more, drawn_words({"--epochs", "1", "--random", "6"})).code == 0);
  REQUIRE(tune(other, drawn_words({"--epochs", "1", "--random", "6", "--search-seed", "1"})).code == 0);
  std::vector<std::string> first = values_of(more);
  first.pop_back();
  CHECK(first == values_of(one));
  CHECK(values_of(other) != values_of(more));

  // Going on says nothing of it again, and refuses another plan.
  const auto resume = [&](const std::vector<std::string>& changed) {
    return sea::test::run_command(
        with({SEA_COMMAND, "tune", setting().data, "--resume", "--output", one}, changed));
  };
  CHECK(resume({}).out == result.out);
  CHECK(resume({"--random", "5"}).code == 0);
  for (const auto& [words_now, message] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--random", "6"}, "--resume: --random was 5 in "},
           {{"--search-seed", "7"}, "--resume: --search-seed was 999 in "},
           {{"--budget", "50"}, "--resume: --budget was not there in "},
           {{"--halving"}, "is without --halving"},
           {{"--range", "learning_rate=1e-3:0.2:log"}, "--resume: the grid was "}}) {
    const CommandResult refused = resume(words_now);
    INFO(refused.error);
    CHECK(refused.code == 2);
    CHECK(contains(refused.error, message));
    CHECK(line_count(refused.error) == 1);
  }
}

TEST_CASE("sea tune --halving: the better half goes on where it stood", "[command][tune]") {
  const TemporaryFolder folder;
  const fs::path one = folder / "one", two = folder / "two";
  // Four runs, three rungs: 2, 4 and 8 epochs.
  const std::vector<std::string> words = {"--grid", "learning_rate=0.0001,0.001,0.01,0.03", "--halving",
                                          "--epochs", "8"};
  const CommandResult result = tune(one, words);
  INFO(result.error);
  REQUIRE(result.code == 0);
  for (const char* line : {"rung 1: 4 runs to 2 epochs\n", "rung 2: 2 runs to 4 epochs\n",
                           "rung 3: 1 run to 8 epochs\n", "2/2  run "})
    CHECK(contains(result.error, line));
  const Json json = json_of(one / "tune.json");
  CHECK(json["plan"] == Json::parse(R"({"halving": true})"));
  std::map<std::int64_t, std::vector<double>> valid_at;  // of those that ended there
  std::map<std::int64_t, int> count;
  for (const Json& row : json["rows"]) {
    const std::int64_t epochs = row["epochs_run"];
    ++count[epochs];
    const Json& rungs = row["rungs"];
    CHECK(rungs.back()["epochs_run"] == epochs);
    CHECK(rungs.size() == (epochs == 2 ? 1 : epochs == 4 ? 2 : 3));
    for (std::size_t i = 0; i < rungs.size(); ++i) CHECK(rungs[i]["rung"] == i);
    // What stands there is what the training alone makes.
    const fs::path alone = folder / ("alone" + row["run"].get<std::string>());
    REQUIRE(sea::test::run_command({SEA_COMMAND, "train", setting().data, "--model", "bpr", "--output", alone,
                                    "--set", "embedding_size=8", "--set", "train_batch_size=256", "--quiet",
                                    "--set",
                                    fmt::format("learning_rate={}", row["values"]["learning_rate"].dump()),
                                    "--epochs", std::to_string(epochs)})
                .code == 0);
    for (const char* name : {"checkpoint.safetensors", "best.safetensors"})
      CHECK(read_file(alone / name) == read_file(one / row["run"].get<std::string>() / name));
    CHECK(row["valid"] == json_of(alone / "result.json")["valid"]);
  }
  CHECK(count == std::map<std::int64_t, int>{{2, 2}, {4, 1}, {8, 1}});
  // Who went on was not worse at the first rung than who did not.
  double worst_on = 2.0, best_out = -1.0;
  for (const Json& row : json["rows"]) {
    const double first = row["rungs"][0]["valid"];
    if (row["rungs"].size() == 1) best_out = std::max(best_out, first);
    if (row["rungs"].size() > 1) worst_on = std::min(worst_on, first);
  }
  CHECK(worst_on >= best_out);
  CHECK(contains(result.out, "epochs"));
  CHECK(
      contains(json["best"]["command"].get<std::string>(),
               fmt::format("epochs={}",
                           json["rows"][std::stoul(json["best"]["run"].get<std::string>()) - 1]["epochs_run"]
                               .get<std::int64_t>())));
  REQUIRE(tune(two, with(words, {"--jobs", "3", "--quiet"})).code == 0);
  CHECK(outcome_of(two) == outcome_of(one));
}

TEST_CASE("sea tune --budget: no more epochs than that; killed and resumed, the same",
          "[command][tune][interruption]") {
  const TemporaryFolder folder;
  const fs::path whole = folder / "whole", cut = folder / "cut";
  const std::vector<std::string> words = drawn_words({"--random", "6", "--budget", "90", "--halving", "--set",
                                                      "stopping_step=3", "--set", "checkpoint_seconds=0.02"});
  const CommandResult result = tune(whole, words);
  INFO(result.error);
  REQUIRE(result.code == 0);
  std::int64_t spent = 0;
  for (const Json& row : rows_of(whole)) spent += row["epochs_run"].get<std::int64_t>();
  CHECK(spent <= 90);
  CHECK(spent > 45);

  // Stopped as soon as the next run has begun, again and again.
  int ended = 0;
  for (int round = 0; round < 30; ++round) {
    std::vector<std::string> again = tune_words(cut, with(words, {"--jobs", std::to_string(1 + round % 3)}));
    if (round > 0) again.push_back("--resume");
    const std::string before = fs::exists(cut / "tune.json") ? read_file(cut / "tune.json") : "";
    BackgroundProcess process(again);
    const int signal = round % 2 == 0 ? SIGKILL : SIGTERM;
    if (round < 8) {
      process.wait_until(
          [&] { return fs::exists(cut / "tune.json") && read_file(cut / "tune.json") != before; });
      process.signal(signal);
    }
    const CommandResult stopped = process.wait();
    INFO("round " << round << "\n" << stopped.error);
    if (stopped.code == 0) break;
    REQUIRE(stopped.code == 128 + signal);
    ++ended;
  }
  CHECK(ended >= 2);
  CHECK(outcome_of(cut) == outcome_of(whole));
  for (const Json& row : rows_of(whole)) {
    const std::string run = row["run"];
    CHECK(read_file(cut / run / "best.safetensors") == read_file(whole / run / "best.safetensors"));
  }

  // Without halving every run has its part, and what is left over is shared out again.
  const fs::path parts = folder / "parts";
  REQUIRE(tune(parts, {"--grid", "learning_rate=0.001,0.01,0.02", "--budget", "11", "--quiet"}).code == 0);
  for (const Json& row : rows_of(parts)) CHECK(row["epochs_run"] == 3);
}
