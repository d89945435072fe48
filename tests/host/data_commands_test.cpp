#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/npy.hpp"
#include "data/safetensors.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::run_command;
using sea::test::TemporaryFolder;
using sea::test::write_file;
using Json = nlohmann::ordered_json;

test::CommandResult sea_command(std::vector<std::string> words) {
  words.insert(words.begin(), SEA_COMMAND);
  return run_command(words);
}

/// A failing command says why in one to three lines of stderr and prints no result.
void check_failure(const test::CommandResult& result, int code, const std::string& message) {
  INFO(result.error);
  CHECK(result.code == code);
  CHECK(contains(result.error, message));
  CHECK(std::count(result.error.begin(), result.error.end(), '\n') <= 3);
}

}  // namespace

TEST_CASE("sea synth and sea info", "[command]") {
  const TemporaryFolder folder;
  const std::string data = folder / "data";
  const auto made = sea_command({"synth", data, "--users", "50", "--items", "40", "--interactions", "400",
                                 "--visual-dim", "6", "--textual-dim", "5", "--seed", "3"});
  INFO(made.error);
  REQUIRE(made.code == 0);
  CHECK(made.out == data + "\n");
  CHECK(made.error.empty());
  const Dataset read = load_dataset(data, {});
  CHECK(read.users == 50);
  CHECK(read.items == 40);
  CHECK(read.features[0].values.columns == 6);
  CHECK(read.features[1].values.columns == 5);

  const auto info = sea_command({"info", data});
  CHECK(info.code == 0);
  CHECK(info.error.empty());
  CHECK(contains(info.out, "users          50\n"));
  CHECK(contains(info.out, "items          40 ("));
  CHECK(contains(info.out, "interactions   400\n"));
  CHECK(contains(info.out, "sparsity       80.0000 %\n"));
  CHECK(contains(info.out, "image_feat.npy  40 x 6  float32  finite, 0 zero rows, 0 duplicate rows\n"));
  CHECK(contains(info.out, "text_feat.npy   40 x 5  float32  finite, 0 zero rows, 0 duplicate rows\n"));

  const auto like =
      sea_command({"synth", folder / "like", "--like", data, "--visual-dim", "4", "--textual-dim", "3"});
  CHECK(like.code == 0);
  CHECK(sea::test::read_file(folder / "like" / "like.inter") ==
        sea::test::read_file(folder / "data" / "data.inter"));

  check_failure(sea_command({"synth", data}), 1, "exists already");
  check_failure(sea_command({"synth", folder / "x", "--users", "0"}), 2, "--users");
  check_failure(sea_command({"synth", folder / "x", "--items", "many"}), 2, "--items");
  check_failure(sea_command({"synth", folder / "x", "--seed", "-1"}), 2, "--seed");
  check_failure(sea_command({"synth", folder / "x", "--preset", "huge"}), 2, "--preset");
  check_failure(sea_command({"synth", folder / "x", "--interactions", "5"}), 2, "--interactions");
  check_failure(sea_command({"synth", folder / "x", "--like", data, "--users", "5"}), 2, "--users");
  check_failure(sea_command({"synth", folder / "x", "--like", data, "--visual-dim", "1"}), 2, "--visual-dim");
  check_failure(sea_command({"synth", folder / "x", "--like", folder / "none"}), 1, "no such data folder");
  check_failure(sea_command({"synth"}), 2, "OUTPUT");
  CHECK(sea::test::entry_count(folder.path()) == 2);
}

TEST_CASE("sea info: data that cannot be trained on", "[command]") {
  const TemporaryFolder folder;
  const std::string data = folder / "data";
  const std::string good = "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n1\t2\t0\n1\t0\t2\n";
  write_file(folder / "data" / "data.inter", good + "1\t0\t2\n");
  const auto bare = sea_command({"info", data});
  CHECK(bare.code == 0);
  CHECK(contains(bare.out, "no .npy files"));
  CHECK(contains(bare.error, "data.inter: 1 line dropped"));

  HostMatrix features(3, 4);
  features.values[0] = 1.0f;
  write_npy(folder / "data" / "a.npy", features.view());
  features.values[5] = std::numeric_limits<float>::quiet_NaN();
  write_npy(folder / "data" / "b.npy", features.view());
  write_npy(folder / "data" / "c.npy", HostMatrix(2, 4).view());
  write_file(folder / "data" / "d.npy", "nonsense");
  write_file(folder / "data" / "i_id_mapping.csv", "asin\titemID\nA\tx\n");
  const auto info = sea_command({"info", data});
  CHECK(info.code == 0);
  CHECK(contains(info.out, "a.npy  3 x 4  float32  finite, 2 zero rows, 1 duplicate row\n"));
  CHECK(contains(info.out, "b.npy  3 x 4  float32  unusable: the value of row 1, column 1 is NaN"));
  CHECK(contains(info.out, "c.npy  2 x 4  float32  unusable: has 2 rows"));
  CHECK(contains(info.out, "d.npy  -      -        unusable: is not a .npy file"));
  CHECK(contains(info.out, "i_id_mapping.csv (unusable: "));

  // Without validation pairs a model can be trained, and with a word on it.
  write_file(folder / "data" / "data.inter", "userID\titemID\tx_label\n0\t0\t0\n0\t1\t2\n");
  const auto unsplit = sea_command({"info", data});
  CHECK(unsplit.code == 0);
  CHECK(contains(unsplit.error, "note: there are no validation pairs: sea train has no early stopping"));
  // The counts stand, and the reason why no model can be trained.
  write_file(folder / "data" / "data.inter", "userID\titemID\tx_label\n0\t0\t1\n0\t1\t2\n");
  const auto untrained = sea_command({"info", data});
  CHECK(contains(untrained.out, "interactions   2\n"));
  check_failure(untrained, 1, "the training split (x_label 0) has no usable pair");

  check_failure(sea_command({"info", folder / "none"}), 1, "no such data folder");
  write_file(folder / "data" / "data.inter", good + "1\tx\t2\n");
  check_failure(sea_command({"info", data}), 1, "line 6: itemID is 'x'");
  check_failure(sea_command({"info"}), 2, "DATA");
}

namespace {

/// Interactions that `sea train --model bpr` learns something from, with or without held-out pairs.
struct Shop {
  TemporaryFolder folder;
  std::string data = folder / "shop", run = folder / "run";
  std::string inter(bool valid, bool test) const {
    std::string text = "userID\titemID\tx_label\n";
    for (int user = 0; user < 12; ++user) {
      for (int place = 0; place < 6; ++place) {
        const int label = place == 4 ? 1 : place == 5 ? 2 : 0;
        if ((label == 1 && !valid) || (label == 2 && !test)) continue;
        text += std::to_string(user) + "\t" + std::to_string((user % 3 + 2 * place) % 11) + "\t" +
                std::to_string(label) + "\n";
      }
    }
    return text + "0\t11\t0\n";
  }
  void write(const std::string& text) const { write_file(folder / "shop" / "shop.inter", text); }
  test::CommandResult train(std::vector<std::string> more) const {
    more.insert(more.begin(), {"train", data, "--model", "bpr", "--output", run, "--set", "topk=3", "--set",
                               "valid_metric=Recall@3", "--set", "learning_rate=0.05"});
    return sea_command(more);
  }
  Json json(const std::string& name) const {
    return Json::parse(sea::test::read_file(folder / "run" / name));
  }
  std::vector<Json> epochs(const std::string& of = "run") const {
    std::vector<Json> lines;
    std::istringstream in(sea::test::read_file(folder / of / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
    return lines;
  }
  /// The items of `user` that sea recommend lists, of all there are.
  std::set<int> recommended(const std::string& user, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"recommend", run, "--user", user, "--top-k", "100"};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = sea_command(words);
    INFO(result.error);
    REQUIRE(result.code == 0);
    std::set<int> items;
    std::istringstream in(result.out);
    std::string line;
    std::getline(in, line);
    for (int number, rank, item; in >> number >> rank >> item; std::getline(in, line)) items.insert(item);
    return items;
  }
};

int notices(const test::CommandResult& result) {
  int count = 0;
  for (std::size_t at = 0; (at = result.error.find("note: ", at)) != std::string::npos; ++at) ++count;
  return count;
}

}  // namespace

TEST_CASE("sea train without validation or test pairs", "[command]") {
  const Shop shop;
  const bool test = GENERATE(true, false);
  shop.write(shop.inter(false, test));
  check_failure(shop.train({}), 2, "has no validation pairs, so early stopping is off: epochs must be given");
  CHECK(sea::test::entry_count(shop.folder.path()) == 1);

  const auto trained = shop.train({"--epochs", "5", "--set", "eval_step=2", "--set", "train_batch_size=8"});
  INFO(trained.error);
  REQUIRE(trained.code == 0);
  CHECK(notices(trained) == 1);
  CHECK(contains(trained.error,
                 "note: there are no validation pairs: early stopping is off, and the last epoch"));
  CHECK(contains(trained.error, "no test pairs either") == !test);
  CHECK(contains(trained.out, "Recall") == test);
  // The last epoch is what is kept, though eval_step does not fall on it.
  const Json result = shop.json("result.json");
  CHECK(result["best_epoch"] == 4);
  CHECK(result["epochs_run"] == 5);
  CHECK(result["stopped_by"] == "epochs");
  CHECK(!result.contains("valid"));
  CHECK(result.contains("test") == test);
  const std::vector<Json> epochs = shop.epochs();
  REQUIRE(epochs.size() == 5);
  for (std::size_t epoch = 0; epoch < 5; ++epoch) {
    CHECK(!epochs[epoch].contains("valid"));
    CHECK(epochs[epoch].contains("test") == (test && (epoch % 2 == 1 || epoch == 4)));
  }
  if (test) CHECK(result["test"] == epochs[4]["test"]);
  const auto arrays = [&](const std::string& file, const std::string& name) {
    return Safetensors::read(shop.folder / "run" / file).floats(name);
  };
  for (const std::string name : {"user_embeddings", "item_embeddings"})
    CHECK(arrays("best.safetensors", name) == arrays("checkpoint.safetensors", name));

  // What is stopped and gone on with ends the same; so does a finished run that is asked again.
  const auto again = shop.train({"--resume"});
  CHECK(again.code == 0);
  CHECK(contains(again.error, "is finished"));
  const std::vector<float> users = arrays("best.safetensors", "user_embeddings");
  std::filesystem::remove_all(shop.folder / "run");
  REQUIRE(shop.train({"--epochs", "2", "--set", "eval_step=2", "--set", "train_batch_size=8"}).code == 0);
  CHECK(arrays("best.safetensors", "user_embeddings") != users);
  REQUIRE(shop.train({"--epochs", "5", "--resume"}).code == 0);
  CHECK(arrays("best.safetensors", "user_embeddings") == users);
  CHECK(shop.json("result.json")["best_epoch"] == 4);

  check_failure(sea_command({"evaluate", shop.run, "--split", "valid"}), 1,
                test ? "there are no validation pairs to evaluate " + shop.run + " on; --split test has some"
                     : "there are no validation pairs to evaluate " + shop.run + " on\n");
  const auto evaluated = sea_command({"evaluate", shop.run});
  CHECK(evaluated.code == (test ? 0 : 1));
  CHECK(contains(evaluated.error, "there are no test pairs to evaluate") == !test);
  CHECK(!shop.recommended("1").empty());
  CHECK(sea_command({"export", shop.run, "--output", shop.folder / "e.npz"}).code == 0);
  check_failure(sea_command({"tune", shop.data, "--model", "bpr", "--epochs", "2", "--grid",
                             "learning_rate=0.1,0.01", "--output", shop.folder / "tune"}),
                1, "has no validation pairs, by which a search compares its runs");
}

TEST_CASE("sea train without test pairs, and sea tune too", "[command]") {
  const Shop shop;
  shop.write(shop.inter(true, false));
  const auto trained = shop.train({"--epochs", "3"});
  INFO(trained.error);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.error, "note: there are no test pairs"));
  CHECK(shop.json("result.json").contains("valid"));
  CHECK(!shop.json("result.json").contains("test"));
  check_failure(sea_command({"evaluate", shop.run}), 1, "--split valid has some");
  CHECK(sea_command({"evaluate", shop.run, "--split", "valid"}).code == 0);
  const auto tuned = sea_command({"tune", shop.data, "--model", "bpr", "--epochs", "2", "--grid",
                                  "learning_rate=0.1,0.01", "--output", shop.folder / "tune"});
  INFO(tuned.error);
  CHECK(tuned.code == 0);
  CHECK(contains(tuned.out, "  -  "));
  const Json search = Json::parse(sea::test::read_file(shop.folder / "tune" / "tune.json"));
  CHECK(search["best"].contains("valid"));
  CHECK(!search["best"].contains("test"));
}

TEST_CASE("sea train: early_stopping=off keeps the last epoch", "[command]") {
  const Shop shop;
  shop.write(shop.inter(true, true));
  check_failure(shop.train({"--set", "early_stopping=off"}), 2, "epochs must be given");
  // As many epochs as it takes to overfit twelve users: the best on validation is not the last.
  REQUIRE(shop.train({"--epochs", "40", "--set", "stopping_step=1"}).code == 0);
  const Json stopped = shop.json("result.json");
  CHECK(stopped["stopped_by"] == "early_stopping");
  std::filesystem::remove_all(shop.folder / "run");
  REQUIRE(shop.train({"--epochs", "40", "--set", "stopping_step=1", "--set", "early_stopping=off"}).code ==
          0);
  const Json off = shop.json("result.json");
  CHECK(off["best_epoch"] == 39);
  CHECK(off["valid"] == shop.epochs().back()["valid"]);
  CHECK(off["test"] == shop.epochs().back()["test"]);
}

TEST_CASE("sea train: train_on, of every model", "[command]") {
  const Shop shop;
  shop.write(shop.inter(true, true));
  // What is held out no more is trained on: the same as where it stands in training in the first place.
  std::string relabelled = shop.inter(true, true);
  for (std::size_t at = 0; (at = relabelled.find("\t1\n", at)) != std::string::npos;)
    relabelled[at + 1] = '0';
  const std::filesystem::path other = shop.folder / "relabelled";
  write_file(other / "relabelled.inter", relabelled);
  const auto train = [&](const std::filesystem::path& data, const std::string& model, const std::string& run,
                         std::vector<std::string> more) {
    more.insert(more.begin(), {"train", data, "--model", model, "--output", shop.folder / run, "--epochs",
                               "2", "--set", "topk=3"});
    const auto result = sea_command(more);
    INFO(result.error);
    REQUIRE(result.code == 0);
  };
  for (const std::string model : {"bpr", "lightgcn", "layergcn"}) {
    train(shop.data, model, model, {"--set", "train_on=train+valid"});
    train(other, model, model + "-relabelled", {});
    const auto read = [&](const std::string& run) {
      return Safetensors::read(shop.folder / run / "best.safetensors").floats("user_embeddings");
    };
    CHECK(read(model) == read(model + "-relabelled"));
    CHECK(shop.epochs(model).back()["test"] == shop.epochs(model + "-relabelled").back()["test"]);
  }
  REQUIRE(shop.train({"--epochs", "2", "--set", "train_on=all"}).code == 0);
  check_failure(sea_command({"evaluate", shop.run}), 1, "there are no test pairs to evaluate");
  // Six of eleven items and item 11 are the training pairs of user 0: nothing else is left out or in.
  CHECK(shop.recommended("0", {"--exclude", "train"}) == std::set<int>{1, 3, 5, 7, 9});
  check_failure(
      sea_command({"tune", shop.data, "--model", "bpr", "--epochs", "2", "--grid", "learning_rate=0.1,0.01",
                   "--set", "train_on=train+valid", "--output", shop.folder / "tune"}),
      1, "train_on must be train");
}

TEST_CASE("runs and data that came in since, were renamed or are gone", "[command]") {
  const Shop shop;
  shop.write(shop.inter(true, true));
  std::string ids = "user_id\tuserID\n";
  for (int user = 0; user < 12; ++user)
    ids += "u" + std::to_string(user) + "\t" + std::to_string(user) + "\n";
  write_file(shop.folder / "shop" / "u_id_mapping.csv", ids);
  REQUIRE(shop.train({"--epochs", "2"}).code == 0);
  const auto before = sea_command({"recommend", shop.run, "--user", "u3"});
  CHECK(before.error.empty());
  // User 3 has items 0, 2, ..., 10.
  CHECK(shop.recommended("u3") == std::set<int>{1, 3, 5, 7, 9, 11});
  CHECK(shop.recommended("u3", {"--exclude", "train"}) == std::set<int>{1, 3, 5, 7, 8, 9, 10, 11});

  const std::filesystem::path moved = shop.folder / "moved";
  std::filesystem::rename(shop.data, moved);
  CHECK(sea_command({"recommend", shop.run, "--user", "u3", "--data", moved}).out == before.out);
  CHECK(sea_command({"evaluate", shop.run, "--data", moved}).error.empty());
  CHECK(sea_command({"train", moved, "--resume", "--model", "bpr", "--output", shop.run, "--epochs", "3"})
            .code == 0);
  CHECK(sea_command({"info", moved}).code == 0);
  std::filesystem::rename(moved, shop.data);
  REQUIRE(shop.train({"--resume", "--epochs", "4"}).code == 0);  // the run knows the old place again

  shop.write(shop.inter(true, true) + "3\t1\t0\n3\t5\t1\n4\t9\t2\n");
  const auto more = sea_command({"evaluate", shop.run});
  CHECK(more.code == 0);
  CHECK(notices(more) == 1);
  CHECK(contains(more.error, "its interactions are not all those that " + shop.run + " was trained on"));
  CHECK(shop.recommended("u3") == std::set<int>{3, 7, 9, 11});
  CHECK(shop.recommended("u3", {"--exclude", "train"}) == std::set<int>{3, 5, 7, 8, 9, 10, 11});
  // The same names with other numbers are not the same users.
  const std::size_t u3 = ids.find("u3");
  ids.replace(u3, 2, "v3");
  write_file(shop.folder / "shop" / "u_id_mapping.csv", ids);
  check_failure(sea_command({"evaluate", shop.run}), 1, "its original ids have other numbers");

  // A run alone is enough for its vectors.
  std::filesystem::remove_all(shop.data);
  const auto exported = sea_command({"export", shop.run, "--output", shop.folder / "e.safetensors"});
  INFO(exported.error);
  CHECK(exported.code == 0);
  CHECK(Safetensors::read(shop.folder / "e.safetensors").shape("item_embeddings") ==
        std::vector<std::int64_t>{12, 64});
  check_failure(sea_command({"evaluate", shop.run}), 1, "is not there any more; name its folder by --data");
}

TEST_CASE("sea evaluate --mask-validation: validation items are not ranked for test", "[command]") {
  const Shop shop;
  // Of each user one item is left beside training and validation: the one that is held out for test.
  shop.write(
      "userID\titemID\tx_"
      "label\n0\t0\t0\n0\t1\t1\n0\t2\t2\n1\t1\t0\n1\t2\t1\n1\t0\t2\n2\t2\t0\n2\t0\t1\n2\t1\t2\n");
  REQUIRE(shop.train({"--epochs", "1", "--set", "topk=1,2"}).code == 0);
  const auto recall = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"evaluate", shop.run,   "--top-k",
                                      "1",        "--output", shop.folder / "e.json"};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(sea_command(words).code == 0);
    const Json json = Json::parse(sea::test::read_file(shop.folder / "e.json"));
    CHECK(json["mask_validation"] == !more.empty());
    return json["metrics"]["recall@1"].get<double>();
  };
  CHECK(recall({"--mask-validation"}) == 1.0);
  CHECK(recall({}) < 1.0);
  check_failure(sea_command({"evaluate", shop.run, "--split", "valid", "--mask-validation"}), 2,
                "--mask-validation");
}
