// `sea compare`: differences of runs, user by user, against what `sea evaluate --per-user` says of each.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "training/bootstrap.hpp"
#include "training/significance.hpp"

using sea::test::CommandResult;
using sea::test::contains;
using sea::test::read_file;
using sea::test::TemporaryFolder;
using sea::test::write_file;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

CommandResult run_sea(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_COMMAND);
  return sea::test::run_command(words);
}

/// Runs of two models on one data set, and of two seeds, made once for all tests of this file.
struct Runs {
  TemporaryFolder folder;
  fs::path data = folder / "data", bpr = folder / "bpr", graph = folder / "graph", seeds = folder / "seeds";
  Runs() {
    sea::synthesize(data, {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
    train({"--model", "bpr", "--output", bpr});
    train({"--model", "lightgcn", "--output", graph});
    train({"--model", "lightgcn", "--output", seeds, "--seed", "1,2"});
  }
  void train(std::vector<std::string> more) const {
    more.insert(more.begin(),
                {"train", data, "--epochs", "3", "--set", "topk=5,10", "--set", "valid_metric=Recall@10",
                 "--set", "embedding_size=8", "--set", "learning_rate=0.01", "--quiet"});
    const CommandResult result = run_sea(more);
    if (result.code != 0) throw std::runtime_error(result.error);
  }
};

const Runs& runs() {
  static const Runs once;
  return once;
}

using Columns = std::map<std::string, std::vector<double>>;

/// What `sea evaluate --per-user` writes of a run.
Columns users_of(const fs::path& run) {
  const fs::path file = runs().folder / "users.tsv";
  REQUIRE(run_sea({"evaluate", run, "--per-user", file}).code == 0);
  std::istringstream in(read_file(file));
  std::string line, name;
  std::getline(in, line);
  std::istringstream header(line);
  std::vector<std::string> names;
  while (std::getline(header, name, '\t')) names.push_back(name);
  Columns columns;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    for (const std::string& column : names) {
      std::getline(fields, name, '\t');
      columns[column].push_back(std::stod(name));
    }
  }
  columns.erase("userID");
  return columns;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// Every number of a comparison, computed again.
void check_metrics(const Json& metrics, const Columns& reference, const Columns& run, std::size_t resamples) {
  REQUIRE(metrics.size() == run.size());
  for (const auto& [name, found] : metrics.items()) {
    INFO(name);
    const std::vector<double>&before = reference.at(name), &now = run.at(name);
    std::vector<double> differences;
    for (std::size_t i = 0; i < now.size(); ++i) differences.push_back(now[i] - before[i]);
    CHECK(found["reference"].get<double>() == Approx(mean_of(before)));
    CHECK(found["value"].get<double>() == Approx(mean_of(now)));
    CHECK(found["difference"].get<double>() == Approx(mean_of(differences)));
    const auto rows = static_cast<std::int64_t>(now.size());
    const sea::Interval interval =
        sea::bootstrap_intervals(differences, rows, 1, static_cast<std::int64_t>(resamples), 999).front();
    CHECK(found["interval"][0].get<double>() == Approx(interval.low));
    CHECK(found["interval"][1].get<double>() == Approx(interval.high));
    const sea::SignedRank test = sea::signed_rank_test(differences);
    CHECK(found["statistic"] == test.statistic);
    CHECK(found["pairs"] == test.pairs);
    CHECK(found["p"] == test.p);
    CHECK(found["p_holm"] >= found["p"]);
  }
}

}  // namespace

TEST_CASE("sea compare: the differences of what evaluate writes of either run", "[command][compare]") {
  const Runs& r = runs();
  const fs::path file = r.folder / "c.json";
  const CommandResult result = run_sea({"compare", r.bpr, r.graph, r.seeds, "--output", file});
  INFO(result.error);
  REQUIRE(result.code == 0);
  const Json json = Json::parse(read_file(file));
  const Columns bpr = users_of(r.bpr), graph = users_of(r.graph);
  CHECK(json["users"] == bpr.at("recall@5").size());
  CHECK(json["tests"] == 28);  // 2 runs, 7 metrics, 2 cut-offs
  CHECK(json["reference"]["run"] == fs::canonical(r.bpr).string());
  CHECK(json["bootstrap"]["resamples"] == 1000);
  REQUIRE(json["comparisons"].size() == 2);
  check_metrics(json["comparisons"][0]["metrics"], bpr, graph, 1000);
  // Of several seeds, every user's mean.
  Columns mean = users_of(r.seeds / "1");
  for (auto& [name, values] : mean) {
    const Columns second = users_of(r.seeds / "2");
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = (values[i] + second.at(name)[i]) / 2.0;
  }
  CHECK(json["comparisons"][1]["runs"].size() == 2);
  check_metrics(json["comparisons"][1]["metrics"], bpr, mean, 1000);
  // Holm's correction is over all tests.
  std::vector<double> p, corrected;
  for (const Json& comparison : json["comparisons"]) {
    for (const auto& [name, metric] : comparison["metrics"].items()) {
      p.push_back(metric["p"]);
      corrected.push_back(metric["p_holm"]);
    }
  }
  CHECK(corrected == sea::holm(p));
  // The table: at most 100 columns, every metric of every run, marks where a difference is significant.
  std::istringstream lines(result.out);
  std::size_t widest = 0, marks = 0, rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (contains(line, "/")) continue;  // names of folders are as long as they are
    widest = std::max(widest, line.size());
    rows += contains(line, "@") ? 1 : 0;
    marks += !line.empty() && line.back() == '*' ? 1 : 0;
  }
  CHECK(widest <= 100);
  CHECK(rows == 28);
  CHECK(marks == static_cast<std::size_t>(std::count_if(corrected.begin(), corrected.end(),
                                                        [](double value) { return value <= 0.05; })));
  CHECK(contains(result.out, "(mean of 2 seeds)"));
}

TEST_CASE("sea compare: as .tsv, of chosen metrics, the same at any number of threads",
          "[command][compare]") {
  const Runs& r = runs();
  const auto compare = [&](const std::string& threads) {
    const fs::path file = r.folder / "c.tsv";
    REQUIRE(run_sea({"compare", r.bpr, r.graph, "--metrics", "ndcg,giniindex", "--top-k", "3", "--intervals",
                     "100", "--threads", threads, "--output", file})
                .code == 0);
    return read_file(file);
  };
  const std::string text = compare("1");
  CHECK(compare("3") == text);
  std::istringstream in(text);
  std::string header, line, more;
  std::getline(in, header);
  CHECK(header == "run\tmetric\treference\tvalue\tdifference\tlow\thigh\tstatistic\tpairs\tp\tp_holm");
  std::getline(in, line);
  CHECK(line.rfind(fs::canonical(r.graph).string() + "\tndcg@3\t", 0) == 0);
  CHECK(std::count(line.begin(), line.end(), '\t') == 10);
  CHECK(!std::getline(in, more));
}

TEST_CASE("sea compare: a run against a copy of itself differs nowhere", "[command][compare]") {
  const Runs& r = runs();
  const fs::path copy = r.folder / "copy", file = r.folder / "same.json";
  if (!fs::exists(copy)) fs::copy(r.bpr, copy, fs::copy_options::recursive);
  REQUIRE(run_sea({"compare", r.bpr, copy, "--metrics", "recall", "--output", file}).code == 0);
  const Json json = Json::parse(read_file(file));
  for (const auto& [name, metric] : json["comparisons"][0]["metrics"].items()) {
    CHECK(metric["difference"] == 0.0);
    CHECK(metric["interval"] == Json::array({0.0, 0.0}));
    CHECK(metric["pairs"] == 0);
    CHECK(metric["p"] == 1.0);
  }
}

TEST_CASE("sea compare: what cannot be compared is one line", "[command][compare][hostile]") {
  const Runs& r = runs();
  const fs::path other = r.folder / "other", other_run = r.folder / "other-run", mixed = r.folder / "mixed",
                 all = r.folder / "all", search = r.folder / "search";
  sea::synthesize(other, {150, 70, 1700, 16, 12}, 6, [](const char*, double) {});
  REQUIRE(
      run_sea({"train", other, "--model", "bpr", "--epochs", "1", "--output", other_run, "--quiet"}).code ==
      0);
  r.train({"--model", "bpr", "--set", "train_on=train+valid", "--output", all});
  r.train({"--model", "bpr", "--output", mixed / "a"});
  r.train({"--model", "bpr", "--set", "reg_weight=0.5", "--output", mixed / "b"});
  REQUIRE(run_sea({"tune", r.data, "--model", "bpr", "--epochs", "1", "--grid", "reg_weight=0.1,0.2",
                   "--output", search, "--quiet"})
              .code == 0);
  const std::string bpr = r.bpr, graph = r.graph;
  struct Case {
    std::vector<std::string> words;
    int code;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {{bpr}, 2, {"at least two runs"}},
      {{bpr, graph, bpr}, 2, {"bpr: is named twice"}},
      {{bpr, r.folder / "nowhere"}, 1, {"nowhere: there is no run here"}},
      {{bpr, r.data}, 1, {"config.json"}},
      {{bpr, other_run}, 1, {"bpr and ", "other-run: are not runs on the same data"}},
      {{bpr, all}, 1, {"not runs on the same split", "train_on is train and train+valid"}},
      {{bpr, mixed}, 1, {"mixed: a and b differ in more than their seed"}},
      {{bpr, search}, 1, {"search: is not the folder of a run but that of a search", "its best run"}},
      {{bpr, graph, "--metrics", "giniindex,itemcoverage"}, 2, {"--metrics giniindex,itemcoverage: a user"}},
      {{bpr, graph, "--metrics", "f1"}, 2, {"there is no metric 'f1'"}},
      {{bpr, graph, "--intervals", "0"}, 2, {"--intervals 0: must be a whole number from 100"}},
      {{bpr, graph, "--seed", "1,2"}, 2, {"--seed 1,2: must be a whole number"}},
      {{bpr, graph, "--output", r.folder / "c.csv"}, 2, {"c.csv: must end in .json or .tsv"}},
      {{bpr, graph, "--output", r.folder / "nowhere" / "c.json"}, 1, {"nowhere"}},
      {{bpr, graph, "--mask-validation", "--split", "valid"}, 2, {"--mask-validation"}},
      {{bpr, graph, "--top-k", "0"}, 2, {"--top-k 0"}},
  };
  for (const Case& c : cases) {
    std::vector<std::string> words = c.words;
    words.insert(words.begin(), "compare");
    const int before = sea::test::entry_count(r.folder.path());
    const CommandResult result = run_sea(words);
    INFO(result.error);
    CHECK(result.code == c.code);
    for (const std::string& part : c.parts) {
      INFO("lacks: " << part);
      CHECK(contains(result.error, part));
    }
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
    CHECK(result.out.empty());
    CHECK(sea::test::entry_count(r.folder.path()) == before);
  }
}
