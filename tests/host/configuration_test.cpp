#include "configuration/configuration.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "configuration/reference.hpp"
#include "configuration/registry.hpp"
#include "sea/error.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "training/run_folder.hpp"

using namespace sea;
using sea::test::contains;
using sea::test::error_of;
using sea::test::TemporaryFolder;
using sea::test::write_file;

namespace {

Configuration with(const std::vector<std::string>& assignments) {
  ConfigurationRequest request;
  request.assignments = assignments;
  return resolve_configuration(request);
}

std::string refusal(const std::vector<std::string>& assignments) {
  return error_of([&] { with(assignments); });
}

}  // namespace

TEST_CASE("configuration: the defaults are those of the paper's settings", "[configuration]") {
  const Configuration defaults = with({});
  CHECK(defaults.model().name == "sea");
  const std::vector<std::pair<std::string, std::int64_t>> integers = {{"embedding_size", 64},
                                                                      {"train_batch_size", 2048},
                                                                      {"eval_batch_size", 4096},
                                                                      {"epochs", 1000},
                                                                      {"stopping_step", 20},
                                                                      {"eval_step", 1},
                                                                      {"seed", 999},
                                                                      {"knn_k", 10},
                                                                      {"n_ui_layers", 2},
                                                                      {"n_mm_layers", 1},
                                                                      {"align_samples", 0},
                                                                      {"head_hidden", 64},
                                                                      {"head_out", 32},
                                                                      {"club_width", 32},
                                                                      {"club_hidden", 8},
                                                                      {"club_steps", 50}};
  for (const auto& [key, value] : integers) {
    INFO(key);
    CHECK(defaults.integer(key) == value);
  }
  const std::vector<std::pair<std::string, double>> numbers = {
      {"learning_rate", 1e-4}, {"club_learning_rate", 1e-4}, {"alpha", 0.012},          {"beta", 0.006},
      {"temperature", 0.046},  {"mm_image_weight", 0.1},     {"checkpoint_seconds", 60}};
  for (const auto& [key, value] : numbers) {
    INFO(key);
    CHECK(defaults.number(key) == value);
  }
  CHECK(defaults.text("align") == "solosim");
  CHECK(defaults.text("distance") == "club");
  CHECK(defaults.text("club_pairs") == "paper");
  CHECK(defaults.text("valid_metric") == "Recall@20");
  CHECK(defaults.text("device") == "auto");
  CHECK(defaults.cutoffs("topk") == std::vector<std::int64_t>{5, 10, 20, 50});
  CHECK(defaults.file("vision_feature_file") == "image_feat.npy");
  CHECK(defaults.file("text_feature_file") == "text_feat.npy");
}

TEST_CASE("configuration: later wins", "[configuration]") {
  const TemporaryFolder folder;
  write_file(folder / "c.json",
             "// a comment\n{\"knn_k\": 3, /* another */ \"seed\": 1, \"epochs\": 7,\n \"alpha\": 1}\n");
  ConfigurationRequest request;
  request.config = folder / "c.json";
  Configuration c = resolve_configuration(request);
  CHECK(c.integer("knn_k") == 3);
  CHECK(c.integer("epochs") == 7);
  CHECK(c.number("alpha") == 1.0);
  request.assignments = {"knn_k=4", "seed=2", "epochs=8", "knn_k=5", "device=cuda"};
  c = resolve_configuration(request);
  CHECK(c.integer("knn_k") == 5);
  CHECK(c.integer("seed") == 2);
  request.seed = "3";
  request.epochs = "9";
  request.device = "cpu";
  request.threads = "2";
  c = resolve_configuration(request);
  CHECK(c.integer("seed") == 3);
  CHECK(c.integer("epochs") == 9);
  CHECK(c.text("device") == "cpu");
  CHECK(c.integer("threads") == 2);
  CHECK(c.number("beta") == 0.006);
}

TEST_CASE("configuration: names of models and enumerations in any case, and the paper's four variants",
          "[configuration]") {
  CHECK(with({"align=InfoNCE"}).text("align") == "infonce");
  CHECK(with({"distance=L2"}).text("distance") == "l2");
  CHECK(with({"valid_metric=ndcg@10"}).text("valid_metric") == "NDCG@10");
  CHECK(with({"topk=[20, 5,5]"}).cutoffs("topk") == std::vector<std::int64_t>{5, 20});
  const std::vector<std::array<std::string, 3>> variants = {{"SEAa", "solosim", "club"},
                                                            {"seab", "solosim", "l2"},
                                                            {"SEAC", "infonce", "club"},
                                                            {"Sead", "infonce", "l2"}};
  for (const auto& [name, align, distance] : variants) {
    ConfigurationRequest request;
    request.model = name;
    const Configuration c = resolve_configuration(request);
    CHECK(c.model().name == "sea");
    CHECK(c.text("align") == align);
    CHECK(c.text("distance") == distance);
    request.assignments = {"align=none"};  // --set comes after --model
    CHECK(resolve_configuration(request).text("align") == "none");
  }
  ConfigurationRequest request;
  request.model = "bogus";
  const std::string message = error_of([&] { resolve_configuration(request); });
  CHECK(contains(message, "--model"));
  CHECK(contains(message, "bogus"));
  CHECK(contains(message, "SEAb"));
}

TEST_CASE("configuration: an alias in a file acts before the file's own keys", "[configuration]") {
  const TemporaryFolder folder;
  write_file(folder / "c.json", R"({"distance": "none", "model": "SEAd"})");
  ConfigurationRequest request;
  request.config = folder / "c.json";
  CHECK(resolve_configuration(request).text("align") == "infonce");
  CHECK(resolve_configuration(request).text("distance") == "none");
  request.model = "SEAa";  // after the file
  CHECK(resolve_configuration(request).text("align") == "solosim");
  CHECK(resolve_configuration(request).text("distance") == "club");
}

TEST_CASE("configuration: club_learning_rate follows learning_rate until it is set", "[configuration]") {
  CHECK(with({"learning_rate=0.5"}).number("club_learning_rate") == 0.5);
  CHECK(with({"club_learning_rate=0.25", "learning_rate=0.5"}).number("club_learning_rate") == 0.25);
  CHECK(with({"learning_rate=1e-3"}).number("learning_rate") == 1e-3);
}

TEST_CASE("configuration: one modality alone", "[configuration]") {
  const Configuration c = with({"text_feature_file=null", "align=none"});
  CHECK(!c.file("text_feature_file").has_value());
  const DatasetFiles files = c.model().files(c);
  CHECK(files.vision_feature_file == "image_feat.npy");
  CHECK(!files.text_feature_file.has_value());
  CHECK(contains(refusal({"text_feature_file=null"}), "set align=none"));
  CHECK(contains(refusal({"vision_feature_file=null"}), "vision_feature_file"));
  CHECK(contains(refusal({"vision_feature_file=null", "text_feature_file=null"}), "both"));
  CHECK(contains(refusal({"text_feature_file=null", "align=none", "club_pairs=authors"}), "club_pairs"));
  CHECK(refusal({"text_feature_file=null", "align=none", "club_pairs=authors", "distance=l2"}).empty());
}

TEST_CASE("configuration: unknown keys name the nearest known one", "[configuration]") {
  const std::vector<std::array<std::string, 2>> cases = {{"embeding_size", "embedding_size"},
                                                         {"lerning_rate", "learning_rate"},
                                                         {"KNN_K", "knn_k"},
                                                         {"temprature", "temperature"},
                                                         {"batch_size", "train_batch_size"}};
  for (const auto& [wrong, right] : cases) {
    const std::string message = refusal({wrong + "=1"});
    INFO(message);
    CHECK(contains(message, "--set " + wrong));
    CHECK(contains(message, right));
    CHECK(contains(message, "did you mean"));
  }
  CHECK(contains(refusal({"n_layers=1"}),
                 "there is no key 'n_layers' of the model sea; it is a key of lightgcn"));
}

TEST_CASE("configuration: names that somebody may have meant", "[configuration]") {
  using Names = std::vector<std::string>;
  CHECK(similar_names("kitten", {"mitten", "kitchen", "sitting"}) == Names{"mitten"});
  CHECK(similar_names("sunday", {"saturday", "sundae"}) == Names{"sundae"});
  CHECK(similar_names("SUNDAY", {"Sunday"}) == Names{"Sunday"});
  // As near as each other.
  CHECK(similar_names("bat", {"cat", "hat", "bath", "rat"}) == Names{"cat", "hat", "bath"});
  const Names keys = {"topk", "learning_rate", "train_batch_size", "eval_batch_size", "epochs"};
  CHECK(similar_names("lr", keys) == Names{"learning_rate"});
  CHECK(similar_names("batch_size", keys) == Names{"train_batch_size", "eval_batch_size"});
  CHECK(similar_names("rate", keys) == Names{"learning_rate"});
  CHECK(similar_names("quux", keys).empty());
  CHECK(similar_names("", keys).empty());
  CHECK(did_you_mean("quux", keys).empty());
  CHECK(did_you_mean("lr", keys) == "; did you mean learning_rate?");
  CHECK(did_you_mean("bat", {"cat", "hat", "rat"}) == "; did you mean cat, hat or rat?");
}

TEST_CASE("configuration: values that are not allowed name key, value and what is", "[configuration]") {
  struct Case {
    std::string assignment, allowed;
  };
  const Case refused = GENERATE(
      Case{"learning_rate=0", "number"}, Case{"learning_rate=-0.1", "number"},
      Case{"learning_rate=nan", "number"}, Case{"learning_rate=inf", "number"},
      Case{"learning_rate=1e-50", "number"}, Case{"learning_rate=fast", "number"},
      Case{"learning_rate=", "number"}, Case{"learning_rate=1e-3x", "number"},
      Case{"embedding_size=0", "whole number from 1"}, Case{"embedding_size=-64", "whole number"},
      Case{"embedding_size=64.5", "whole number"}, Case{"embedding_size=1e400", "whole number"},
      Case{"embedding_size=99999999999999999999", "whole number"}, Case{"train_batch_size=0", "whole"},
      Case{"epochs=0", "whole"}, Case{"seed=-1", "whole number from 0"}, Case{"knn_k=0", "whole"},
      Case{"mm_image_weight=1.5", "from 0 to 1"}, Case{"mm_image_weight=-0.1", "from 0 to 1"},
      Case{"temperature=0.0249", "from 0.025"}, Case{"temperature=0", "from 0.025"},
      Case{"alpha=-1", "from 0"}, Case{"align=cosine", "solosim, infonce, none"},
      Case{"distance=", "club, l2, none"}, Case{"club_pairs=null", "paper, authors"},
      Case{"topk=0", "whole numbers from 1"}, Case{"topk=[]", "whole numbers"},
      Case{"topk=5,,10", "whole numbers"}, Case{"topk=5,ten", "whole numbers"},
      Case{"valid_metric=Recall", "Recall@20"}, Case{"valid_metric=Recall@0", "Recall@20"},
      Case{"valid_metric=Accuracy@5", "Precision"}, Case{"device=tpu", "auto, cpu, cuda"},
      Case{"device=cuda:x", "cuda:N"}, Case{"threads=-1", "whole"}, Case{"text_feature_file=", ".npy"},
      Case{"align_samples=-1", "whole"}, Case{"checkpoint_seconds=-1", "from 0"});
  const std::string message = refusal({refused.assignment});
  INFO(refused.assignment << " -> " << message);
  const std::size_t equals = refused.assignment.find('=');
  CHECK(contains(message, "--set " + refused.assignment));
  CHECK(contains(
      message, refused.assignment.substr(0, equals) + " is '" + refused.assignment.substr(equals + 1) + "'"));
  CHECK(contains(message, refused.allowed));
}

TEST_CASE("configuration: the ends of the ranges are allowed", "[configuration]") {
  CHECK(with({"temperature=0.025"}).number("temperature") == 0.025);
  CHECK(with({"mm_image_weight=0"}).number("mm_image_weight") == 0.0);
  CHECK(with({"mm_image_weight=1"}).number("mm_image_weight") == 1.0);
  CHECK(with({"embedding_size=1"}).integer("embedding_size") == 1);
  CHECK(with({"seed=0"}).integer("seed") == 0);
  CHECK(with({"device=CUDA:3"}).text("device") == "cuda:3");
}

TEST_CASE("configuration: options name themselves", "[configuration]") {
  const auto option = [](auto member, const std::string& value) {
    ConfigurationRequest request;
    request.*member = value;
    return error_of([&] { resolve_configuration(request); });
  };
  CHECK(contains(option(&ConfigurationRequest::seed, "x"), "--seed x"));
  CHECK(contains(option(&ConfigurationRequest::epochs, "-3"), "--epochs -3"));
  CHECK(contains(option(&ConfigurationRequest::device, "gpu"), "--device gpu"));
  CHECK(contains(option(&ConfigurationRequest::threads, "two"), "--threads two"));
  CHECK(contains(refusal({"knn_k"}), "key=value"));
  CHECK(contains(refusal({"=3"}), "key=value"));
  CHECK(contains(refusal({"model=sea"}), "--model"));
  CHECK(contains(refusal({"eval_step=5", "epochs=3"}), "eval_step"));
}

TEST_CASE("configuration: without early stopping epochs must be given", "[configuration]") {
  CHECK(contains(refusal({"early_stopping=off"}),
                 "early_stopping is off, which trains without early stopping: "
                 "epochs must be given"));
  CHECK(contains(refusal({"train_on=train+valid"}), "train_on is train+valid"));
  CHECK(contains(refusal({"train_on=ALL"}), "train_on is all"));
  CHECK(contains(refusal({"train_on=test"}), "one of train, train+valid, all"));
  // Given is given, even where it is the default; the last epoch is evaluated whatever eval_step is.
  for (const char* key : {"early_stopping=off", "train_on=all"}) {
    const Configuration given = with({key, "epochs=1000"});
    CHECK(!may_stop_early(given));
    CHECK(with({key, "epochs=3", "eval_step=5"}).integer("eval_step") == 5);
  }
  CHECK(assignments_of(with({"early_stopping=off", "epochs=1000"})) ==
        std::vector<std::string>{"epochs=1000", "early_stopping=off"});
  CHECK(assignments_of(with({"train_on=all", "epochs=1000"})) ==
        std::vector<std::string>{"train_on=all", "epochs=1000"});
  CHECK(may_stop_early(with({})));
  CHECK(assignments_of(with({"epochs=1000"})).empty());
}

TEST_CASE("configuration: files that are not a configuration", "[configuration]") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& text) {
    write_file(folder / "c.json", text);
    ConfigurationRequest request;
    request.config = folder / "c.json";
    return error_of([&] { resolve_configuration(request); });
  };
  CHECK(contains(message("{\n\"knn_k\": 3,\n}\n"), "line 3"));
  CHECK(contains(message(""), "not JSON"));
  CHECK(contains(message("knn_k: 3"), "not JSON"));
  CHECK(contains(message("[1]"), "not a JSON object"));
  CHECK(contains(message(R"({"knn_k": 1e999})"), "c.json"));
  CHECK(contains(message(R"({"knn_k": "3"})"), "knn_k is '3'"));
  CHECK(contains(message(R"({"knn_k": 3.5})"), "knn_k is '3.5'"));
  CHECK(contains(message(R"({"knn_k": 18446744073709551615})"), "knn_k"));
  CHECK(contains(message(R"({"knn_k": {"a": 1}})"), "knn_k"));
  CHECK(contains(message(R"({"knn_k": null})"), "knn_k is 'null'"));
  CHECK(contains(message(R"({"topk": [5, "x"]})"), "topk"));
  CHECK(contains(message(R"({"knnk": 3})"), "did you mean knn_k?"));
  CHECK(contains(message(R"({"model": 3})"), "model"));
  CHECK(contains(message(R"({"model": "bogus"})"), "bogus"));
  const std::string brackets = std::string(200'000, '[') + std::string(200'000, ']');
  CHECK(contains(message(brackets), "nests brackets more than 64 deep"));
  CHECK(contains(message(R"({"align": )" + brackets + "}"), "nests brackets more than 64 deep"));
  // What a terminal would take for a command is not printed, nor a novel.
  CHECK(contains(message(R"({"align": "\u001b[2Jx"})"), "align is '?[2Jx'"));
  CHECK(contains(message(R"({"\u001b[2Jx": 1})"), "no key '?[2Jx'"));
  CHECK(contains(message(R"({"model": "\u001b[2Jx"})"), "no model '?[2Jx'"));
  for (const std::string before : {R"({"align": ")", R"({")", R"({"model": ")"})
    CHECK(message(before + std::string(100'000, 'x') + (before.size() == 2 ? "\": 1}" : "\"}")).size() <
          1000);
  for (const char* text : {R"({"knn_k": 3.5})", "{", R"({"model": "bogus"})"})
    CHECK(contains(message(text), "--config " + (folder / "c.json").string()));
  ConfigurationRequest request;
  request.config = folder / "missing.json";
  CHECK(contains(error_of([&] { resolve_configuration(request); }), "missing.json"));
  request.config = folder.path();
  CHECK(contains(error_of([&] { resolve_configuration(request); }), "--config"));
}

TEST_CASE("configuration: config.json of a run is a configuration", "[configuration]") {
  const TemporaryFolder folder;
  const Configuration c = with({"knn_k=4", "align=infonce", "topk=3,7", "text_feature_file=audio_feat.npy",
                                "learning_rate=0.00037", "seed=9007199254740992"});
  write_file(folder / "config.json", to_json(RunDescription{c, "/data", "0123", "4567"}).dump());
  ConfigurationRequest request;
  request.config = folder / "config.json";
  const Configuration again = resolve_configuration(request);
  for (const Key& key : c.model().keys) {
    INFO(key.name);
    CHECK(again.value(key.name) == c.value(key.name));
  }
  const RunDescription run = read_run(folder.path());
  CHECK(run.data == "/data");
  CHECK(run.fingerprint == "0123");
  CHECK(run.interactions_fingerprint == "4567");
  CHECK(run.identity() == RunDescription{again, "/elsewhere", "0123", "4567"}.identity());
}

TEST_CASE("configuration: what a result depends on is in a run's identity", "[configuration]") {
  const auto identity = [](const std::vector<std::string>& assignments, const std::string& fingerprint) {
    return RunDescription{with(assignments), "/data", fingerprint, "same"}.identity();
  };
  const std::string plain = identity({}, "0");
  CHECK(identity({"epochs=5", "threads=3", "device=cpu"}, "0") == plain);
  CHECK(identity({"knn_k=9"}, "0") != plain);
  CHECK(identity({"seed=1"}, "0") != plain);
  CHECK(identity({"train_on=all", "epochs=5"}, "0") != plain);
  CHECK(identity({}, "1") != plain);
}

TEST_CASE("configuration: docs/configuration.md has every key as it is", "[configuration]") {
  const std::string text = sea::test::read_file(sea::test::source_folder() / "docs/configuration.md");
  INFO("docs/configuration.md does not hold what `sea models --markdown` prints");
  CHECK(contains(text, markdown_reference()));
}
