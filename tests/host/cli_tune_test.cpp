// `sea tune`: its rows are what `sea train` makes of the same settings, whatever the number of jobs, and
// however often it is stopped.

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "configuration/registry.hpp"
#include "configuration/search_space.hpp"
#include "data/npy.hpp"
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
using sea::test::SearchSetting;
using sea::test::TemporaryFolder;
using sea::test::whole_search;
using sea::test::WholeSearch;
using sea::test::write_file;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What a search found, without what time tells.
Json outcome_of(const fs::path& folder) {
  Json json = json_of(folder / "tune.json");
  for (Json& row : json["rows"]) {
    row.erase("total_seconds");
    row["config"].erase("threads");
  }
  return json;
}

/// The bits of every run.
std::vector<std::string> bits_of(const fs::path& folder) {
  const Json json = json_of(folder / "tune.json");
  std::vector<std::string> bits;
  for (const Json& row : json.at("rows")) {
    const fs::path run = folder / row["run"].get<std::string>();
    for (const char* name : {"checkpoint.safetensors", "best.safetensors"})
      bits.push_back(read_file(run / name));
  }
  return bits;
}

/// The words of a line.
std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

TEST_CASE("configuration: the assignments of one make the same again", "[tune]") {
  sea::ConfigurationRequest request;
  request.model = "SEAd";
  request.assignments = {"learning_rate=0.003", "club_learning_rate=1e-5", "topk=7,9",
                         "alpha=0.30000000000000004"};
  const sea::Configuration configuration = sea::resolve_configuration(request);
  sea::ConfigurationRequest again;
  again.assignments = sea::assignments_of(configuration);
  CHECK(again.assignments.size() == 6);  // align and distance as well
  CHECK(sea::to_json(sea::resolve_configuration(again)) == sea::to_json(configuration));
}

TEST_CASE("sea tune: a row is what sea train makes of the same settings", "[command][tune]") {
  const WholeSearch& w = whole_search();
  INFO(w.result.error);
  REQUIRE(w.result.code == 0);
  const Json search = json_of(w.folder / "tune.json");
  CHECK(search["valid_metric"] == "recall@20");
  CHECK(search["grid"] == Json::parse(R"({"learning_rate": [0.001, 0.02], "align": ["solosim", "none"]})"));
  REQUIRE(search["rows"].size() == 4);
  double best = -1.0;
  std::string best_run;
  for (std::size_t i = 0; i < 4; ++i) {
    const Json& row = search["rows"][i];
    CHECK(row["run"] == std::to_string(i + 1));
    CHECK(row["state"] == "finished");
    CHECK(row["values"]["learning_rate"] == (i < 2 ? 0.001 : 0.02));
    CHECK(row["values"]["align"] == (i % 2 == 0 ? "solosim" : "none"));
    const fs::path alone = w.setting.folder / fmt::format("alone{}", i);
    const CommandResult trained = sea::test::run_command(w.setting.words(
        "train", alone,
        {"--quiet", "--threads", "2", "--set", fmt::format("learning_rate={}", i < 2 ? "0.001" : "0.02"),
         "--set", fmt::format("align={}", i % 2 == 0 ? "solosim" : "none")}));
    REQUIRE(trained.code == 0);
    const Json expected = json_of(alone / "result.json");
    for (const char* key : {"best_epoch", "epochs_run", "stopped_by", "valid", "test"})
      CHECK(row[key] == expected[key]);
    CHECK(read_file(alone / "best.safetensors") ==
          read_file(w.folder / row["run"].get<std::string>() / "best.safetensors"));
    const double valid = row["valid"]["recall@20"].get<double>();
    if (valid > best) best_run = row["run"].get<std::string>();
    best = std::max(best, valid);
  }
  CHECK(search["best"]["run"] == best_run);
  CHECK(search["best"]["valid"]["recall@20"] == best);
}

TEST_CASE("sea tune: the table, best first, and the command that repeats it", "[command][tune]") {
  const WholeSearch& w = whole_search();
  const Json search = json_of(w.folder / "tune.json");
  std::istringstream out(w.result.out);
  std::string line;
  std::getline(out, line);
  CHECK(words_of(line) == std::vector<std::string>{"run", "learning_rate", "align", "epoch", "valid",
                                                   "Recall@20", "test", "Recall@10", "test", "Recall@20",
                                                   "test", "NDCG@10", "test", "NDCG@20", "seconds"});
  double before = 2.0;
  for (int i = 0; i < 4; ++i) {
    std::getline(out, line);
    std::vector<std::string> words = words_of(line);
    CHECK((words[0] == "*") == (i == 0));
    if (i == 0) words.erase(words.begin());
    REQUIRE(words.size() == 10);
    const Json& row = search["rows"][std::stoul(words[0]) - 1];
    if (i == 0) CHECK(search["best"]["run"] == words[0]);
    CHECK(words[1] == fmt::format("{}", row["values"]["learning_rate"].get<double>()));
    CHECK(words[2] == row["values"]["align"]);
    CHECK(words[3] == std::to_string(row["best_epoch"].get<int>()));
    CHECK(words[4] == fmt::format("{:.4f}", row["valid"]["recall@20"].get<double>()));
    const char* keys[] = {"recall@10", "recall@20", "ndcg@10", "ndcg@20"};
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(words[5 + k] == fmt::format("{:.4f}", row["test"][keys[k]].get<double>()));
    const double valid = row["valid"]["recall@20"].get<double>();
    CHECK(valid <= before);
    before = valid;
  }
  std::getline(out, line);
  CHECK(line.rfind("sea train ", 0) == 0);
  std::string more;
  CHECK(!std::getline(out, more));

  // The command, as it stands there, makes the best run again.
  const fs::path again = w.setting.folder / "again";
  const CommandResult result = sea::test::run_command(
      {"sh", "-c", fmt::format("{}{} --quiet --output {}", SEA_COMMAND, line.substr(3), again.string())});
  INFO(line << "\n" << result.error);
  REQUIRE(result.code == 0);
  const std::string run = search["best"]["run"].get<std::string>();
  CHECK(read_file(again / "best.safetensors") == read_file(w.folder / run / "best.safetensors"));
  CHECK(json_of(again / "result.json")["test"] == search["best"]["test"]);

  // On a pipe, a line a combination.
  CHECK(line_count(w.result.error) == 5);
  for (int i = 1; i <= 4; ++i) CHECK(contains(w.result.error, fmt::format("{}/4  run {}  ", i, i)));
}

TEST_CASE("sea tune --jobs: the same at any number", "[command][tune]") {
  const WholeSearch& w = whole_search();
  const TemporaryFolder folder;
  for (const char* jobs : {"2", "3"}) {
    const fs::path output = folder / jobs;
    const CommandResult result =
        sea::test::run_command(w.setting.tune(output, {"--jobs", jobs, "--threads", "4", "--quiet"}));
    REQUIRE(result.code == 0);
    CHECK(result.error.empty());
    Json expected = outcome_of(w.folder), found = outcome_of(output);
    CHECK(found == expected);
    CHECK(bits_of(output) == bits_of(w.folder));
    // The threads are divided: no more at a time than were asked for.
    const Json first = json_of(output / "1" / "result.json");
    CHECK(first["threads"] == 4 / std::stoi(jobs));
  }
}

TEST_CASE("sea tune --resume: a finished search, and one of changed settings or data", "[command][tune]") {
  const WholeSearch& w = whole_search();
  const std::string before = read_file(w.folder / "tune.json");
  const auto resume = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {SEA_COMMAND, "tune", w.setting.data, "--resume", "--output", w.folder});
    return sea::test::run_command(more);
  };
  // Without any settings it is what it was begun with; nothing is trained again.
  const CommandResult same = resume({"--threads", "1"});
  INFO(same.error);
  CHECK(same.code == 0);
  CHECK(same.out == w.result.out);
  CHECK(contains(same.error, "4 combinations, 4 finished"));

  const auto check_refused = [&](const std::vector<std::string>& more, int code,
                                 const std::vector<std::string>& parts) {
    const CommandResult result = resume(more);
    INFO(result.error);
    CHECK(result.code == code);
    CHECK(result.out.empty());
    CHECK(line_count(result.error) == 1);
    for (const std::string& part : parts) CHECK(contains(result.error, part));
  };
  check_refused({"--grid", "learning_rate=0.001"}, 2,
                {"--resume", "learning_rate=0.001,0.02 align=solosim,none", "--output"});
  check_refused({"--set", "knn_k=6"}, 2, {"knn_k", "5", "6", "device and threads"});
  check_refused({"--epochs", "5"}, 2, {"epochs", "4", "5"});
  check_refused({"--set", "align=none"}, 2, {"--set align=none", "grid"});
  // Data of the same name that say something else.
  const fs::path other = w.setting.folder / "other" / "data";
  sea::synthesize(other, {150, 70, 1700, 16, 12}, 6, [](const char*, double) {});
  const CommandResult changed = sea::test::run_command(
      {SEA_COMMAND, "tune", other, "--resume", "--output", w.folder, "--threads", "1"});
  CHECK(changed.code == 1);
  CHECK(contains(changed.error, "is not the data"));
  CHECK(line_count(changed.error) == 1);
  // Without --resume it is in the way.
  const CommandResult again = sea::test::run_command(w.setting.tune(w.folder));
  CHECK(again.code == 1);
  CHECK(contains(again.error, "--resume"));
  CHECK(read_file(w.folder / "tune.json") == before);
}

TEST_CASE("sea tune: killed and stopped at any moment; resumed equals never stopped",
          "[command][tune][interruption]") {
  const WholeSearch& w = whole_search();
  const TemporaryFolder folder;
  const fs::path output = folder / "search";
  int ended = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> words = w.setting.tune(output, {"--jobs", std::to_string(1 + round % 2)});
    if (round > 0) words.push_back("--resume");
    BackgroundProcess process(words);
    const int signal = round % 3 == 0 ? SIGKILL : round % 3 == 1 ? SIGTERM : SIGINT;
    if (round < 8) {
      process.wait_until([&] { return fs::exists(output / "tune.json"); });
      std::this_thread::sleep_for(w.time * (0.08 + 0.04 * round));
      process.signal(signal);
    }
    const CommandResult result = process.wait();
    INFO("round " << round << "\n" << result.error);
    if (result.code == 0) break;
    REQUIRE(result.code == 128 + signal);
    CHECK(result.out.empty());
    ++ended;
    // Whole at any time.
    CHECK(json_of(output / "tune.json")["rows"].size() == 4);
  }
  CHECK(ended >= 2);
  CHECK(outcome_of(output) == outcome_of(w.folder));
  CHECK(bits_of(output) == bits_of(w.folder));
}

TEST_CASE("sea tune: a signal stops the runs, which save their state", "[command][tune][interruption]") {
  const WholeSearch& w = whole_search();
  const TemporaryFolder folder;
  const fs::path output = folder / "search";
  BackgroundProcess process(w.setting.words("tune", output,
                                            {"--grid", "alpha=0.1,0.2,0.3", "--jobs", "2", "--set",
                                             "stopping_step=100000", "--set", "epochs=100000"}));
  REQUIRE(process.wait_until([&] {
    return fs::exists(output / "1" / "checkpoint.safetensors") &&
           fs::exists(output / "2" / "best.safetensors");
  }));
  const CommandResult second = sea::test::run_command(
      {SEA_COMMAND, "tune", w.setting.data, "--resume", "--output", output, "--threads", "1"});
  CHECK(second.code == 1);
  CHECK(contains(second.error, "another process"));
  process.signal(SIGINT);
  const CommandResult result = process.wait();
  CHECK(result.code == 128 + SIGINT);
  CHECK(contains(result.error, "0 of 3 combinations finished"));
  CHECK(contains(result.error, "--resume"));
  CHECK(result.out.empty());
  for (const char* run : {"1", "2"}) {
    // Nobody holds the run any more, and what is there can be ranked with.
    CHECK(sea::test::run_command({SEA_COMMAND, "evaluate", output / run, "--checkpoint", "last"}).code == 0);
  }
  CHECK(!fs::exists(output / "3"));
  CHECK(json_of(output / "tune.json")["best"].is_null());
}

TEST_CASE("sea tune: a combination that fails has its row, and the others are trained", "[command][tune]") {
  const WholeSearch& w = whole_search();
  const TemporaryFolder folder;
  const fs::path output = folder / "search";
  // 70 items have no 1000 neighbours, and features of 3e38 leave the range of float32.
  const fs::path data = folder / "data";
  fs::copy(w.setting.data, data);
  sea::HostMatrix huge(70, 4);
  for (std::size_t i = 0; i < huge.values.size(); ++i) huge.values[i] = i % 3 == 0 ? 3e38f : -3e38f;
  sea::write_npy(data / "huge.npy", huge.view());
  std::vector<std::string> words = {SEA_COMMAND, "tune", data, "--output", output, "--epochs", "2"};
  for (const char* grid : {"knn_k=5,1000", "text_feature_file=text_feat.npy,huge.npy"})
    words.insert(words.end(), {"--grid", grid});
  const CommandResult result = sea::test::run_command(words);
  INFO(result.out << result.error);
  CHECK(result.code == 1);
  CHECK(contains(result.error, "error: 3 of 4 combinations failed"));
  const Json search = json_of(output / "tune.json");
  CHECK(search["rows"][0]["state"] == "finished");
  const char* reasons[] = {"the training diverged", "knn_k is 1000", "knn_k is 1000"};
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(search["rows"][i + 1]["state"] == "failed");
    CHECK(contains(search["rows"][i + 1]["error"].get<std::string>(), reasons[i]));
    CHECK(contains(result.out, std::string("failed: ") + search["rows"][i + 1]["error"].get<std::string>()));
  }
  CHECK(search["best"]["run"] == "1");
  CHECK(line_count(result.out) == 6);  // header, four rows, the command
  const CommandResult again =
      sea::test::run_command({SEA_COMMAND, "tune", data, "--resume", "--output", output});
  CHECK(again.code == 1);
  CHECK(again.out == result.out);
  CHECK(contains(again.error, "4 combinations, 1 finished"));
  CHECK(contains(again.error, "error: 3 of 4 combinations failed"));
  CHECK(contains(result.out, "\nsea train "));
}
