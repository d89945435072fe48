// `sea evaluate`: metrics by user and by group, and intervals: what its files say, against each other.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "configuration/metric_name.hpp"
#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "training/bootstrap.hpp"

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

/// A trained run, made once for all tests of this file.
struct Trained {
  TemporaryFolder folder;
  fs::path data = folder / "data", run = folder / "run";
  Trained() {
    sea::synthesize(data, {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
    // Items without a training pair: one is held out.
    write_file(data / "data.inter", read_file(data / "data.inter") + "3\t70\t2\n4\t71\t1\n");
    const CommandResult result = run_sea({"train", data, "--model", "bpr", "--output", run, "--epochs", "3",
                                          "--set", "topk=5,10,20", "--set", "embedding_size=8", "--quiet"});
    if (result.code != 0) throw std::runtime_error(result.error);
  }
};

const Trained& trained() {
  static const Trained once;
  return once;
}

/// A .tsv of users: its header, and the numbers of each column.
struct Table {
  std::vector<std::string> names;
  std::map<std::string, std::vector<double>> columns;

  explicit Table(const std::string& text) {
    std::istringstream in(text);
    std::string line;
    std::getline(in, line);
    std::istringstream header(line);
    for (std::string name; std::getline(header, name, '\t');) names.push_back(name);
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      for (const std::string& name : names) {
        std::string field;
        REQUIRE(std::getline(fields, field, '\t'));
        columns[name].push_back(std::stod(field));
      }
    }
  }
};

std::size_t widest_line(const std::string& text) {
  std::istringstream in(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(in, line);) widest = std::max(widest, line.size());
  return widest;
}

}  // namespace

TEST_CASE("sea evaluate --per-user: the metrics are the means of what it writes", "[command][evaluate]") {
  const Trained& t = trained();
  const fs::path json_file = t.folder / "e.json", users_file = t.folder / "users.tsv",
                 npz_file = t.folder / "users.npz";
  const CommandResult result =
      run_sea({"evaluate", t.run, "--output", json_file, "--per-user", users_file, "--intervals", "200"});
  INFO(result.error);
  REQUIRE(result.code == 0);
  CHECK(result.error.empty());
  const Json json = Json::parse(read_file(json_file));
  const Json trained_metrics = Json::parse(read_file(t.run / "result.json"))["test"];
  CHECK(trained_metrics.size() == 12);
  // Those of the training to the last bit.
  for (const auto& [name, value] : trained_metrics.items()) CHECK(json["metrics"][name] == value);
  CHECK(json["metrics"].size() == 27);
  CHECK(!json.contains("groups"));

  const Table table(read_file(users_file));
  REQUIRE(table.names.size() == 22);
  CHECK(table.names[0] == "userID");
  CHECK(table.names[1] == "recall@5");
  CHECK(table.names[21] == "averagepopularity@20");
  const std::vector<double>& users = table.columns.at("userID");
  CHECK(users.size() == json["users"].get<std::size_t>());
  CHECK(std::is_sorted(users.begin(), users.end()));
  for (const auto& [name, values] : table.columns) {
    if (name == "userID") continue;
    double sum = 0.0;
    for (const double value : values) sum += value;
    CHECK(json["metrics"][name] == sum / static_cast<double>(values.size()));
    const auto rows = static_cast<std::int64_t>(values.size());
    const sea::Interval interval = sea::bootstrap_intervals(values, rows, 1, 200, 999).front();
    CHECK(json["intervals"][name] == Json::array({interval.low, interval.high}));
    CHECK(interval.low <= json["metrics"][name]);
    CHECK(interval.high >= json["metrics"][name]);
  }
  CHECK(json["intervals"].size() == 21);
  CHECK(json["bootstrap"] == Json::parse(R"({"resamples": 200, "seed": 999, "level": 0.95})"));

  REQUIRE(run_sea({"evaluate", t.run, "--per-user", npz_file, "--metrics", "mrr,giniindex"}).code == 0);
  const std::string npz = read_file(npz_file);
  const std::vector<double>& mrr = table.columns.at("mrr@10");
  CHECK(contains(npz, std::string_view(reinterpret_cast<const char*>(mrr.data()), mrr.size() * 8)));
  for (const char* name : {"userID.npy", "mrr@5.npy", "mrr@20.npy"}) CHECK(contains(npz, name));
  CHECK(!contains(npz, "giniindex"));
}

TEST_CASE("sea evaluate --per-user: original ids, where there are some, as sea recommend writes them",
          "[command][evaluate][users]") {
  const Trained& t = trained();
  const fs::path mapped = t.folder / "mapped", plain_file = t.folder / "plain.tsv",
                 file = t.folder / "mapped.tsv", npz_file = t.folder / "mapped.npz",
                 lists = t.folder / "lists.tsv";
  fs::create_directory(mapped);
  fs::copy(t.data / "data.inter", mapped / "mapped.inter");
  // Numbers one above the data set's, an id that has a tab, and one that has a quotation mark.
  std::string ids = "user_id\tuserID\n";
  const auto field = [](int user) {
    return user % 3 == 0   ? fmt::format("\"tab\t{}\"", user)
           : user % 3 == 1 ? fmt::format("\"\"\"quoted\"\" {}\"", user)
                           : std::to_string(user + 1);
  };
  for (int user = 0; user < 150; ++user) ids += fmt::format("{}\t{}\n", field(user), user);
  write_file(mapped / "u_id_mapping.csv", ids);
  const auto evaluate = [&](const fs::path& data, const fs::path& output) {
    const CommandResult result = run_sea({"evaluate", t.run, "--data", data, "--per-user", output,
                                          "--metrics", "recall,hit", "--top-k", "10"});
    INFO(result.error);
    REQUIRE(result.code == 0);
    return read_file(output);
  };
  std::istringstream plain(evaluate(t.data, plain_file)), named(evaluate(mapped, file));
  std::string before, line;
  REQUIRE(std::getline(plain, before));
  CHECK(before == "userID\trecall@10\thit@10");
  REQUIRE(std::getline(named, line));
  CHECK(line == before + "\tuser");
  int rows = 0;
  while (std::getline(plain, before)) {
    ++rows;
    REQUIRE(std::getline(named, line));
    CHECK(line == before + "\t" + field(std::stoi(before)));
  }
  CHECK(rows > 100);
  CHECK(!std::getline(named, line));

  // A list's name of a user is the same field.
  REQUIRE(run_sea({"recommend", t.run, "--data", mapped, "--user-index", "0,1,2", "--top-k", "1", "--output",
                   lists})
              .code == 0);
  for (const int user : {0, 1, 2}) CHECK(contains(read_file(lists), "\t" + field(user) + "\n"));

  evaluate(mapped, npz_file);
  const std::string npz = read_file(npz_file);
  CHECK(contains(npz, "user.npy"));
  CHECK(contains(npz, "'|S"));
  CHECK(contains(npz, std::string_view("tab\t0\0", 6)));

  // What compares runs reads the data's numbers, not these files.
  const fs::path other = t.folder / "other";
  REQUIRE(run_sea({"train", mapped, "--model", "bpr", "--output", other, "--epochs", "1", "--set",
                   "topk=5,10,20", "--quiet"})
              .code == 0);
  const CommandResult compared = run_sea({"compare", t.run, other, "--data", mapped});
  INFO(compared.error);
  CHECK(compared.code == 0);
}

TEST_CASE("sea evaluate --groups: the groups make up the whole", "[command][evaluate]") {
  const Trained& t = trained();
  const fs::path file = t.folder / "groups.json";
  const CommandResult result = run_sea({"evaluate", t.run, "--groups", "all", "--top-k", "10", "--intervals",
                                        "100", "--seed", "4", "--output", file});
  INFO(result.error);
  REQUIRE(result.code == 0);
  const Json json = Json::parse(read_file(file));
  REQUIRE(json["groups"].size() == 8);
  std::map<std::string, Json> groups;
  std::int64_t items = 0, pairs = 0, users = 0;
  double recall = 0.0;
  for (const Json& group : json["groups"]) {
    groups[group["group"]] = group;
    if (group["by"] == "history") {
      users += group["users"].get<std::int64_t>();
      recall += group["users"].get<double>() * group["metrics"]["recall@10"].get<double>();
      CHECK(group["items"] == 72);
    } else {
      items += group["items"].get<std::int64_t>();
      pairs += group["pairs"].get<std::int64_t>();
    }
  }
  CHECK(items == 72);
  CHECK(users == json["users"]);
  CHECK(recall / static_cast<double>(users) == Approx(json["metrics"]["recall@10"].get<double>()));
  CHECK(pairs == groups["history-short"]["pairs"].get<std::int64_t>() +
                     groups["history-long"]["pairs"].get<std::int64_t>());
  CHECK(groups["history-short"]["training_pairs"][1] < groups["history-long"]["training_pairs"][0]);
  for (int fifth = 1; fifth < 5; ++fifth) {
    CHECK(groups[fmt::format("popularity-{}", fifth)]["training_pairs"][0] >=
          groups[fmt::format("popularity-{}", fifth + 1)]["training_pairs"][1]);
  }
  CHECK(groups["cold"]["training_pairs"] == Json::array({0, 0}));
  CHECK(groups["cold"]["users"] == 1);
  CHECK(groups["cold"]["pairs"] == 1);
  // Held out items alone, one at a time: any group's average popularity is that of lists, the whole's too.
  CHECK(groups["history-long"]["intervals"]["averagepopularity@10"][0] <=
        groups["history-long"]["metrics"]["averagepopularity@10"]);
  CHECK(!groups["cold"]["intervals"].contains("giniindex@10"));

  // The same at any number of threads; another seed gives other intervals and the same metrics.
  const fs::path again = t.folder / "again.json";
  const auto evaluate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"evaluate", t.run,         "--groups", "all",      "--top-k",
                                      "10",       "--intervals", "100",      "--output", again};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(run_sea(words).code == 0);
    return Json::parse(read_file(again));
  };
  CHECK(evaluate({"--seed", "4", "--threads", "1"}) == json);
  CHECK(evaluate({"--seed", "4", "--threads", "3"}) == json);
  const Json other = evaluate({});
  CHECK(other["metrics"] == json["metrics"]);
  CHECK(other["intervals"] != json["intervals"]);
}

TEST_CASE("sea evaluate: what is chosen is shown, in lines that can be read", "[command][evaluate]") {
  const Trained& t = trained();
  const CommandResult all = run_sea(
      {"evaluate", t.run, "--top-k", "5,10,20,50", "--groups", "popularity,history", "--intervals", "100"});
  REQUIRE(all.code == 0);
  CHECK(widest_line(all.out) <= 100);
  for (const char* part : {"AveragePopularity", "GiniIndex", "popularity-5", "history-short", "@50"})
    CHECK(contains(all.out, part));
  CHECK(!contains(all.out, "cold"));
  const CommandResult few = run_sea({"evaluate", t.run, "--metrics", "NDCG,hit", "--groups", "cold"});
  REQUIRE(few.code == 0);
  CHECK(contains(few.out, "NDCG"));
  CHECK(contains(few.out, "Hit"));
  CHECK(!contains(few.out, "Recall"));
  // A group without users, and one without items, has no numbers.
  const fs::path file = t.folder / "none.json";
  const CommandResult none = run_sea({"evaluate", t.run, "--warm-items", "--groups", "cold", "--output", file,
                                      "--intervals", "100", "--top-k", "5"});
  REQUIRE(none.code == 0);
  const Json cold = Json::parse(read_file(file))["groups"][0];
  CHECK(cold["users"] == 0);
  CHECK(cold["items"] == 2);
  CHECK(cold["metrics"]["recall@5"].is_null());
  CHECK(cold["intervals"].empty());
}

TEST_CASE("sea evaluate: what cannot be shown is one line, and nothing is written",
          "[command][evaluate][hostile]") {
  const Trained& t = trained();
  struct Case {
    std::vector<std::string> words;
    int code;
    std::string message;
  };
  const std::string output = t.folder / "hostile";
  const std::vector<Case> cases = {
      {{"--metrics", "recal"}, 2, "--metrics recal: there is no metric 'recal'; there are recall, ndcg"},
      {{"--metrics", "recall,"}, 2, "there is no metric ''"},
      {{"--metrics", "recall@10"}, 2, "there is no metric 'recall@10'"},
      {{"--metrics", "hit,HIT"}, 2, "--metrics hit,HIT: HIT stands twice"},
      {{"--groups", "gender"}, 2, "--groups gender: there are no groups by 'gender'; there are popularity"},
      {{"--groups", "cold,cold"}, 2, "--groups cold,cold: cold stands twice"},
      {{"--groups", "cold,"}, 2, "there are no groups by ''"},
      {{"--intervals", "99"}, 2, "--intervals 99: must be a whole number from 100 to 100000"},
      {{"--intervals", "1e3"}, 2, "--intervals 1e3: must be a whole number"},
      {{"--intervals", "-5"}, 2, "--intervals -5: must be a whole number"},
      {{"--intervals", "100", "--seed", "x"}, 2, "--seed x: must be a whole number from 0"},
      {{"--seed", "-1"}, 2, "--seed -1: must be a whole number from 0"},
      {{"--per-user", output + ".csv"}, 2, ".csv: must end in .tsv or .npz"},
      {{"--per-user", output}, 2, "must end in .tsv or .npz"},
      {{"--per-user", output + ".tsv", "--metrics", "giniindex"}, 2, "a user has no GiniIndex"},
      {{"--per-user", t.folder / "nowhere" / "u.tsv"}, 1, "nowhere"},
      {{"--per-user", t.folder / "nowhere" / "u.npz"}, 1, "nowhere"},
      {{"--metrics", ""}, 2, "--metrics: its value is empty"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> words = {"evaluate", t.run};
    words.insert(words.end(), c.words.begin(), c.words.end());
    const int before = sea::test::entry_count(t.folder.path());
    const CommandResult result = run_sea(words);
    INFO(c.message << "\n" << result.error);
    CHECK(result.code == c.code);
    CHECK(contains(result.error, c.message));
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
    CHECK(result.out.empty());
    CHECK(sea::test::entry_count(t.folder.path()) == before);
  }
}
