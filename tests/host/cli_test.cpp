// The `sea` command from end to end: what it writes, compared in value with an independent computation.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "data/safetensors.hpp"
#include "data/synth.hpp"
#include "sea/version.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

using sea::Safetensors;
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

const std::vector<std::string> small_model = {
    "--set", "train_batch_size=256", "--set", "embedding_size=8", "--set", "club_steps=4",
    "--set", "learning_rate=0.01",   "--set", "topk=5,20",        "--set", "knn_k=5"};

std::vector<std::string> train_words(const fs::path& data, const fs::path& run,
                                     const std::vector<std::string>& more) {
  std::vector<std::string> words = {"train", data, "--output", run, "--threads", "2"};
  words.insert(words.end(), small_model.begin(), small_model.end());
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// The pairs of a .inter file, read again from its bytes.
struct Pairs {
  std::map<int, std::set<int>> train, valid, test;
  int users = 0, items = 0;
};

Pairs read_pairs(const fs::path& data) {
  Pairs pairs;
  std::istringstream in(read_file(data / (data.filename().string() + ".inter")));
  std::string header;
  std::getline(in, header);
  REQUIRE(header == "userID\titemID\tx_label");
  for (int user, item, label; in >> user >> item >> label;) {
    (label == 0 ? pairs.train : label == 1 ? pairs.valid : pairs.test)[user].insert(item);
    pairs.users = std::max(pairs.users, user + 1);
    pairs.items = std::max(pairs.items, item + 1);
  }
  return pairs;
}

struct Row {
  int user, rank, item;
  double score;
  std::string rest;
};

std::vector<Row> read_tsv(const std::string& text, const std::string& header) {
  std::istringstream in(text);
  std::string line;
  std::getline(in, line);
  CHECK(line == header);
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    Row row;
    std::istringstream fields(line);
    fields >> row.user >> row.rank >> row.item >> row.score;
    std::getline(fields, row.rest);
    rows.push_back(row);
  }
  return rows;
}

/// A trained run, made once for all tests of this file.
struct Trained {
  TemporaryFolder folder;
  fs::path data = folder / "data", run = folder / "run";
  CommandResult result;
  Pairs pairs;
  std::vector<float> users, items;
  std::int64_t width = 0;

  Trained() {
    sea::synthesize(data, {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
    // User 150 has no training history: only a held-out pair, which is dropped, and one in no split at all.
    write_file(data / "data.inter", read_file(data / "data.inter") + "150\t3\t2\n");
    result = run_sea(train_words(data, run, {"--epochs", "3"}));
    pairs = read_pairs(data);
    const fs::path file = folder / "e.safetensors";
    if (run_sea({"export", run, "--output", file}).code != 0) throw std::runtime_error("export failed");
    const Safetensors exported = Safetensors::read(file);
    users = exported.floats("user_embeddings");
    items = exported.floats("item_embeddings");
    width = exported.shape("user_embeddings").at(1);
  }

  double score(int user, int item) const {
    double sum = 0.0;
    for (std::int64_t j = 0; j < width; ++j) sum += double(users[user * width + j]) * items[item * width + j];
    return sum;
  }
  /// Items of `user` by score, without those of `seen`.
  std::vector<int> ranking(int user, const std::set<int>& seen) const {
    std::vector<int> order;
    for (int item = 0; item < pairs.items; ++item) {
      if (seen.count(item) == 0) order.push_back(item);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return score(user, a) > score(user, b); });
    return order;
  }
  std::set<int> seen(int user, bool held_out) const {
    std::set<int> items_seen;
    for (const auto* split : {&pairs.train, &pairs.valid, &pairs.test}) {
      const auto found = split->find(user);
      if (found != split->end() && (held_out || split == &pairs.train))
        items_seen.insert(found->second.begin(), found->second.end());
    }
    return items_seen;
  }
};

const Trained& trained() {
  static const Trained once;
  return once;
}

}  // namespace

TEST_CASE("sea train: what stands in a run's folder", "[command]") {
  const Trained& t = trained();
  INFO(t.result.error);
  REQUIRE(t.result.code == 0);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(t.run)) names.insert(entry.path().filename());
  CHECK(names == std::set<std::string>{"config.json", "metrics.jsonl", "checkpoint.safetensors",
                                       "best.safetensors", "result.json", "lock"});

  const Json config = Json::parse(read_file(t.run / "config.json"));
  CHECK(config["model"] == "sea");
  CHECK(config["embedding_size"] == 8);
  CHECK(config["club_learning_rate"] == 0.01);
  CHECK(config["data"] == fs::canonical(t.data).string());
  CHECK(config["fingerprint"].get<std::string>().size() == 16);

  std::istringstream lines(read_file(t.run / "metrics.jsonl"));
  std::vector<Json> epochs;
  for (std::string line; std::getline(lines, line);) epochs.push_back(Json::parse(line));
  REQUIRE(epochs.size() == 3);
  const std::vector<std::string> keys = {
      "epoch", "train_loss", "train_seconds", "eval_seconds", "peak_memory_bytes", "valid", "test"};
  for (const Json& epoch : epochs) {
    CHECK(epoch.size() == keys.size());
    for (const std::string& key : keys) CHECK(epoch.contains(key));
    CHECK(epoch["peak_memory_bytes"] > 1'000'000);
    CHECK(epoch["train_seconds"] > 0.0);
    std::vector<std::string> losses;
    for (const auto& [name, value] : epoch["train_loss"].items()) losses.push_back(name);
    CHECK(losses == std::vector<std::string>{"total", "bpr", "align", "distance", "club_fit"});
    CHECK(epoch["valid"].size() == 8);
  }

  const Json result = Json::parse(read_file(t.run / "result.json"));
  std::vector<std::string> result_keys;
  for (const auto& [name, value] : result.items()) result_keys.push_back(name);
  CHECK(result_keys == std::vector<std::string>{"best_epoch", "epochs_run", "stopped_by", "valid", "test",
                                                "total_seconds", "seed", "device", "threads", "version",
                                                "config"});
  CHECK(result["epochs_run"] == 3);
  CHECK(result["stopped_by"] == "epochs");
  CHECK(result["threads"] == 2);
  CHECK(result["device"] == "cpu");
  CHECK(result["seed"] == 999);
  CHECK(result["config"] == config);
  const auto best = result["best_epoch"].get<std::size_t>();
  CHECK(result["test"] == epochs[best]["test"]);
  CHECK(result["valid"] == epochs[best]["valid"]);
  for (const Json& epoch : epochs) CHECK(epoch["valid"]["recall@20"] <= result["valid"]["recall@20"]);

  // Results on stdout, progress on stderr, a line per epoch where nobody looks on.
  CHECK(contains(t.result.out, fmt::format("{:.4f}", result["test"]["recall@20"].get<double>())));
  CHECK(contains(t.result.error, "epoch 2"));
  CHECK(!contains(t.result.error, "\r"));
  CHECK(!contains(t.result.out, "epoch"));
}

TEST_CASE("sea train: the same configuration by file, quietly, makes the same run", "[command]") {
  const Trained& t = trained();
  const fs::path run = t.folder / "again";
  const CommandResult result = run_sea(
      {"train", t.data, "--config", t.run / "config.json", "--output", run, "--threads", "1", "--quiet"});
  CHECK(result.code == 0);
  CHECK(result.error.empty());
  CHECK(read_file(run / "best.safetensors") == read_file(t.run / "best.safetensors"));
  CHECK(read_file(run / "checkpoint.safetensors") == read_file(t.run / "checkpoint.safetensors"));
}

TEST_CASE("sea train: several seeds, and the mean of them", "[command]") {
  const Trained& t = trained();
  const fs::path runs = t.folder / "seeds";
  const CommandResult result = run_sea(train_words(t.data, runs, {"--epochs", "2", "--seed", "1,2"}));
  REQUIRE(result.code == 0);
  double values[2];
  for (int i = 0; i < 2; ++i) {
    const Json one = Json::parse(read_file(runs / std::to_string(i + 1) / "result.json"));
    CHECK(one["seed"] == i + 1);
    values[i] = one["test"]["recall@20"];
  }
  CHECK(values[0] != values[1]);
  CHECK(contains(result.out, fmt::format("{:.4f}+-{:.4f}", (values[0] + values[1]) / 2,
                                         std::abs(values[0] - values[1]) / std::sqrt(2.0))));
}

TEST_CASE("sea evaluate: the numbers of the training, and those of a ranking by hand", "[command]") {
  const Trained& t = trained();
  // All that a training has computed, to the last bit.
  const auto check_same = [](const Json& trained_metrics, const Json& metrics) {
    CHECK(trained_metrics.size() == 8);
    for (const auto& [name, value] : trained_metrics.items()) CHECK(metrics[name] == value);
  };
  const fs::path file = t.folder / "evaluation.json";
  for (const std::string split : {"valid", "test"}) {
    REQUIRE(run_sea({"evaluate", t.run, "--split", split, "--output", file}).code == 0);
    const Json evaluation = Json::parse(read_file(file));
    CHECK(evaluation["split"] == split);
    check_same(Json::parse(read_file(t.run / "result.json"))[split], evaluation["metrics"]);
  }
  REQUIRE(run_sea({"evaluate", t.run, "--top-k", "3,7", "--output", file}).code == 0);
  const Json metrics = Json::parse(read_file(file))["metrics"];
  double recall = 0.0, ndcg = 0.0, users = 0.0;
  for (const auto& [user, held_out] : t.pairs.test) {
    if (t.pairs.train.count(user) == 0) continue;
    const std::vector<int> order = t.ranking(user, t.seen(user, false));
    double gain = 0.0, ideal = 0.0, hits = 0.0;
    for (int rank = 0; rank < 7; ++rank) {
      const double discount = 1 / std::log2(rank + 2.0);
      if (held_out.count(order[rank]) != 0) gain += discount, ++hits;
      if (rank < static_cast<int>(held_out.size())) ideal += discount;
    }
    recall += hits / static_cast<double>(held_out.size());
    ndcg += gain / ideal;
    ++users;
  }
  CHECK(metrics["recall@7"].get<double>() == Approx(recall / users).epsilon(1e-9));
  CHECK(metrics["ndcg@7"].get<double>() == Approx(ndcg / users).epsilon(1e-9));
  CHECK(metrics.contains("map@3"));
  CHECK(!metrics.contains("recall@5"));
  // The state after the last epoch.
  REQUIRE(run_sea({"evaluate", t.run, "--checkpoint", "last", "--output", file}).code == 0);
  std::istringstream lines(read_file(t.run / "metrics.jsonl"));
  Json last;
  for (std::string line; std::getline(lines, line);) last = Json::parse(line);
  check_same(last["test"], Json::parse(read_file(file))["metrics"]);
}

TEST_CASE("sea evaluate --warm-items: pairs of items that nobody has in training do not count", "[command]") {
  const TemporaryFolder folder;
  const fs::path data = folder / "data", run = folder / "run", file = folder / "evaluation.json";
  // Item 3 occurs in the test split alone.
  write_file(
      data / "data.inter",
      "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n0\t2\t2\n1\t1\t0\n1\t2\t1\n1\t3\t2\n2\t2\t0\n2\t3\t2\n");
  REQUIRE(
      run_sea({"train", data, "--model", "bpr", "--epochs", "1", "--output", run, "--set", "topk=4"}).code ==
      0);
  const auto evaluation = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"evaluate", run, "--output", file};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(run_sea(words).code == 0);
    return Json::parse(read_file(file));
  };
  const Json all = evaluation({}), known = evaluation({"--warm-items"});
  CHECK(all["warm_items"] == false);
  CHECK(all["users"] == 3);
  CHECK(known["warm_items"] == true);
  CHECK(known["users"] == 1);
  CHECK(known["metrics"]["recall@4"] == 1.0);
  CHECK(evaluation({"--warm-items", "--split", "valid"})["users"] == 2);

  // The same run on data whose test split has such items alone.
  const fs::path unknown = folder / "unknown";
  write_file(unknown / "unknown.inter",
             "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n1\t1\t0\n1\t2\t1\n1\t3\t2\n2\t2\t0\n2\t3\t2\n");
  const fs::path other = folder / "other";
  REQUIRE(run_sea({"train", unknown, "--model", "bpr", "--epochs", "1", "--output", other}).code == 0);
  const CommandResult refused = run_sea({"evaluate", other, "--warm-items"});
  CHECK(refused.code == 1);
  CHECK(refused.out.empty());
  CHECK(contains(refused.error, "--warm-items: no item of the test split has a training pair"));
}

TEST_CASE("sea recommend: the items of largest inner product of the exported vectors", "[command]") {
  const Trained& t = trained();
  struct Case {
    std::vector<std::string> options;
    bool exclude_train, exclude_held_out;
  };
  const Case c = GENERATE(Case{{}, true, true}, Case{{"--exclude", "train"}, true, false},
                          Case{{"--include-seen"}, false, false});
  std::vector<std::string> words = {"recommend", t.run, "--user", "0", "7", "149", "--top-k", "6"};
  words.insert(words.end(), c.options.begin(), c.options.end());
  const CommandResult result = run_sea(words);
  REQUIRE(result.code == 0);
  const std::vector<Row> rows = read_tsv(result.out, "userID\trank\titemID\tscore");
  REQUIRE(rows.size() == 18);
  std::size_t next = 0;
  for (const int user : {0, 7, 149}) {
    const std::vector<int> order =
        t.ranking(user, c.exclude_train ? t.seen(user, c.exclude_held_out) : std::set<int>());
    for (int rank = 1; rank <= 6; ++rank, ++next) {
      CHECK(rows[next].user == user);
      CHECK(rows[next].rank == rank);
      CHECK(rows[next].item == order[rank - 1]);
      CHECK(rows[next].score == Approx(t.score(user, order[rank - 1])).epsilon(1e-6));
    }
  }
}

TEST_CASE("sea recommend: a user without training history gets the most popular items, marked", "[command]") {
  const Trained& t = trained();
  std::map<int, int> counts;
  for (const auto& [user, items] : t.pairs.train) {
    for (const int item : items) ++counts[item];
  }
  std::vector<std::pair<int, int>> order;  // minus the count, id: most popular first, then the lower id
  for (const auto& [item, count] : counts) order.emplace_back(-count, item);
  std::sort(order.begin(), order.end());
  const CommandResult result = run_sea({"recommend", t.run, "--user", "150", "1", "--top-k", "4"});
  REQUIRE(result.code == 0);
  const std::vector<Row> rows = read_tsv(result.out, "userID\trank\titemID\tscore\tsource");
  REQUIRE(rows.size() == 8);
  for (int i = 0; i < 4; ++i) {
    CHECK(rows[i].item == order[i].second);
    CHECK(rows[i].score == -order[i].first);
    CHECK(rows[i].rest == "\tpopular");
    CHECK(rows[4 + i].rest == "\tmodel");
  }
  CHECK(contains(result.error, "note:"));
}

TEST_CASE("sea recommend: .tsv, .jsonl and .npz hold the same; original ids stand too", "[command]") {
  const Trained& t = trained();
  const fs::path data = t.folder / "moved";
  if (!fs::exists(data)) {
    fs::create_directory(data);
    fs::copy(t.data / "data.inter", data / "moved.inter");
    std::string users = "user_id\tuserID\n", items = "asin\titemID\n";
    for (int i = 0; i < t.pairs.users; ++i) users += fmt::format("u-{}\t{}\n", 1000 + i, i);
    for (int i = 0; i < t.pairs.items; ++i) items += fmt::format("B00{}\t{}\n", i, i);
    write_file(data / "u_id_mapping.csv", users);
    write_file(data / "i_id_mapping.csv", items);
  }
  const auto write = [&](const std::string& name) {
    const fs::path file = t.folder / name;
    // --data DIR in place of the folder that the run knows; original ids.
    REQUIRE(run_sea({"recommend", t.run, "--data", data, "--user", "u-1002", "u-1005", "--top-k", "3",
                     "--output", file})
                .code == 0);
    return read_file(file);
  };
  const std::vector<Row> rows = read_tsv(write("r.tsv"), "userID\trank\titemID\tscore\tuser\titem");
  REQUIRE(rows.size() == 6);
  CHECK(rows[0].user == 2);
  CHECK(rows[3].user == 5);
  std::istringstream lines(write("r.jsonl"));
  std::vector<std::int64_t> items;
  for (const Row& row : rows) {
    CHECK(row.rest == fmt::format("\tu-{}\tB00{}", 1000 + row.user, row.item));
    std::string line;
    std::getline(lines, line);
    const Json json = Json::parse(line);
    CHECK(json["userID"] == row.user);
    CHECK(json["rank"] == row.rank);
    CHECK(json["itemID"] == row.item);
    CHECK(json["score"].get<double>() == Approx(row.score).epsilon(1e-6));
    CHECK(json["user"] == fmt::format("u-{}", 1000 + row.user));
    CHECK(json["item"] == fmt::format("B00{}", row.item));
    items.push_back(row.item);
  }
  // A .npz is stored without compression: its arrays' bytes stand in it.
  const std::string npz = write("r.npz");
  CHECK(contains(npz, std::string_view(reinterpret_cast<const char*>(items.data()), items.size() * 8)));
  for (const char* name : {"userID.npy", "itemID.npy", "score.npy", "user.npy", "item.npy"})
    CHECK(contains(npz, name));
}

TEST_CASE("sea recommend --all and sea export: every user, both formats", "[command]") {
  const Trained& t = trained();
  const fs::path file = t.folder / "all.tsv";
  REQUIRE(run_sea({"recommend", t.run, "--all", "--top-k", "1000", "--output", file}).code == 0);
  std::map<int, int> count;
  for (const Row& row : read_tsv(read_file(file), "userID\trank\titemID\tscore\tsource")) ++count[row.user];
  REQUIRE(static_cast<int>(count.size()) == t.pairs.users);
  for (const auto& [user, items] : count) {
    const int seen = user == 150 ? 0 : static_cast<int>(t.seen(user, true).size());
    CHECK(items == t.pairs.items - seen);
  }
  REQUIRE(run_sea({"export", t.run, "--output", t.folder / "e.npz"}).code == 0);
  const std::string npz = read_file(t.folder / "e.npz");
  for (const std::vector<float>* array : {&t.users, &t.items})
    CHECK(contains(npz, std::string_view(reinterpret_cast<const char*>(array->data()), array->size() * 4)));
  CHECK(contains(npz, "user_embeddings.npy"));
}

TEST_CASE("sea models: every key with its default", "[command]") {
  const CommandResult result = run_sea({"models"});
  CHECK(result.code == 0);
  for (const char* part : {"sea:", "SEAd", "club_learning_rate", "0.046", "[5, 10, 20, 50]", "audio"}) {
    INFO(part);
    CHECK(contains(result.out, part) == (std::string(part) != "audio"));
  }
  CHECK(run_sea({"--version"}).out == "sea " SEA_VERSION "\n");
  CHECK(contains(run_sea({"--help"}).out, "recommend"));
}
