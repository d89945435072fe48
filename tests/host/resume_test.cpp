#include <cstdint>
#include <limits>
#include <map>
#include <utility>

#include "data/safetensors.hpp"
#include "sea/device_csr.hpp"
#include "sea/error.hpp"
#include "support/training.hpp"

using namespace sea;
using namespace sea::test;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const std::vector<std::string> small_model = {"train_batch_size=256",
                                              "embedding_size=8",
                                              "knn_k=5",
                                              "club_steps=4",
                                              "head_hidden=8",
                                              "club_width=8",
                                              "club_hidden=4",
                                              "head_out=8",
                                              "topk=5,20",
                                              "learning_rate=0.01",
                                              "epochs=4",
                                              "eval_batch_size=64",
                                              "checkpoint_seconds=1000000"};

using Fixture = TrainingFixture;

TrainingResult train(const fs::path& data, const fs::path& run, const std::vector<std::string>& assignments,
                     int threads, Interruption interruption = {},
                     const std::function<void(Model&)>& tamper = {}) {
  ConfigurationRequest request;
  request.assignments = small_model;
  request.assignments.insert(request.assignments.end(), assignments.begin(), assignments.end());
  return train_run(data, run, request, threads, interruption, tamper);
}

}  // namespace

TEST_CASE("training: lines, losses and the best epoch agree with each other", "[training]") {
  const Fixture fixture;
  const fs::path run = fixture.folder / "run";
  const TrainingResult result = train(fixture.data, run, {}, 2);
  CHECK(result.stopped_by == StoppedBy::epochs);
  CHECK(result.epochs_run == 4);
  const std::vector<Json> lines = metrics_of_run(run);
  REQUIRE(lines.size() == 4);
  std::int64_t best = 0;
  for (std::size_t epoch = 0; epoch < lines.size(); ++epoch) {
    const Json& line = lines[epoch];
    CHECK(line["epoch"] == epoch);
    const double weighted = line["train_loss"]["bpr"].get<double>() +
                            0.012 * line["train_loss"]["align"].get<double>() +
                            0.006 * line["train_loss"]["distance"].get<double>();
    CHECK(line["train_loss"]["total"].get<double>() == Approx(weighted).epsilon(1e-5));
    CHECK(line["train_loss"].contains("club_fit"));
    if (line["valid"]["recall@20"] > lines[best]["valid"]["recall@20"])
      best = static_cast<std::int64_t>(epoch);
  }
  CHECK(lines[3]["train_loss"]["bpr"] < lines[0]["train_loss"]["bpr"]);
  CHECK(result.best_epoch == best);
  CHECK(to_json(result.valid) == lines[best]["valid"]);
  CHECK(to_json(result.test) == lines[best]["test"]);

  // What best.safetensors holds ranks as that epoch did.
  const Dataset dataset = load_dataset(fixture.data, DatasetFiles{});
  const std::string identity = Safetensors::read(run / "best.safetensors").metadata().at("run");
  const Representations representations = read_representations(run / "best.safetensors", identity);
  CHECK(representations.users.columns == 16);
  CpuBackend backend(1);
  const DeviceCsr history(backend, dataset.users, dataset.items, dataset.train.row_offsets,
                          dataset.train.column_indices, {});
  Evaluator evaluator(backend, history.pattern(), {&dataset.test}, {5, 20}, 50, 16);
  const Metrics test = evaluator.evaluate(representations.users.view(), representations.items.view()).front();
  CHECK(test.values == result.test.values);
}

TEST_CASE("training: resumed equals never stopped, bit for bit, at any step and number of threads",
          "[training]") {
  const Fixture fixture;
  const fs::path whole = fixture.folder / "whole";
  train(fixture.data, whole, {}, 1);
  const int stop_at = GENERATE(1, 2, 4, 5, 6, 9, 14, 20);
  INFO("stopped at " << stop_at);
  const fs::path run = fixture.folder / "run";
  const TrainingResult first = train(fixture.data, run, {}, 3, {stop_at, 0});
  REQUIRE(first.stopped_by == StoppedBy::request);
  CHECK(train(fixture.data, run, {}, 2).stopped_by == StoppedBy::epochs);
  check_same_run(whole, run);
}

TEST_CASE("training: stopped again and again, and killed in between", "[training]") {
  const Fixture fixture;
  const fs::path whole = fixture.folder / "whole", run = fixture.folder / "run";
  train(fixture.data, whole, {"align=infonce"}, 2);
  train(fixture.data, run, {"align=infonce"}, 2, {3, 0});
  // Killed two epochs after the checkpoint: metrics.jsonl is ahead of it.
  CHECK_THROWS_AS(train(fixture.data, run, {"align=infonce"}, 1, {0, 14}), Crash);
  const std::size_t ahead = metrics_of_run(run).size();
  CHECK(ahead >= 2);
  train(fixture.data, run, {"align=infonce"}, 3, {4, 0});
  CHECK(metrics_of_run(run).size() < ahead);
  // Killed in the middle of a line.
  write_file(run / "metrics.jsonl", read_file(run / "metrics.jsonl") + "{\"epoch\":");
  train(fixture.data, run, {"align=infonce"}, 1, {5, 0});
  train(fixture.data, run, {"align=infonce"}, 1);
  check_same_run(whole, run);
}

TEST_CASE("training: killed at every step, with a checkpoint after every step", "[training]") {
  const Fixture fixture;
  const std::vector<std::string> settings = {"checkpoint_seconds=0", "epochs=2", "distance=l2"};
  const fs::path whole = fixture.folder / "whole", run = fixture.folder / "run";
  train(fixture.data, whole, settings, 1);
  train(fixture.data, run, settings, 1, {1, 0});
  for (int round = 0; round < 100; ++round) {
    try {
      train(fixture.data, run, settings, 1 + round % 2, {0, 3});
      break;
    } catch (const Crash&) {
    }
    REQUIRE(round < 50);
  }
  check_same_run(whole, run);
}

TEST_CASE("training: more epochs than at first equal that many from the start", "[training]") {
  const Fixture fixture;
  const fs::path whole = fixture.folder / "whole", run = fixture.folder / "run";
  train(fixture.data, whole, {"epochs=5"}, 2);
  train(fixture.data, run, {"epochs=2"}, 2);
  CHECK(metrics_of_run(run).size() == 2);
  CHECK(train(fixture.data, run, {"epochs=5"}, 1).epochs_run == 5);
  check_same_run(whole, run);
}

TEST_CASE("training: eval_step leaves epochs unevaluated", "[training]") {
  const Fixture fixture;
  const fs::path run = fixture.folder / "run";
  train(fixture.data, run, {"eval_step=2", "epochs=5"}, 2);
  const std::vector<Json> lines = metrics_of_run(run);
  REQUIRE(lines.size() == 5);
  for (std::size_t epoch = 0; epoch < 5; ++epoch) CHECK(lines[epoch].contains("valid") == (epoch % 2 == 1));
}

TEST_CASE("training: stops early after stopping_step + 1 evaluations without a gain", "[training]") {
  const Fixture fixture;
  const fs::path run = fixture.folder / "run";
  // So small a step changes no rank: the first epoch stays the best.
  const std::vector<std::string> settings = {"learning_rate=1e-12", "stopping_step=2", "epochs=50"};
  const TrainingResult result = train(fixture.data, run, settings, 2);
  CHECK(result.stopped_by == StoppedBy::early_stopping);
  CHECK(result.best_epoch == 0);
  CHECK(result.epochs_run == 4);
}

TEST_CASE("training: a loss that is not finite is an error, and a run that has nothing to show goes",
          "[training]") {
  const Fixture fixture;
  const fs::path run = fixture.folder / "made" / "here" / "run";
  const auto poison = [](Model& model) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const ParameterView bias = model.program.parameters().at(1);
    model.program.backend().copy_to_device(bias.value, &nan, sizeof(nan));
  };
  const std::string message = error_of([&] { train(fixture.data, run, {}, 2, {}, poison); });
  CHECK(contains(message, "diverged"));
  CHECK(contains(message, "epoch 0"));
  CHECK(contains(message, "learning_rate"));
  CHECK(!fs::exists(fixture.folder / "made"));

  // What was good before stays.
  const fs::path good = fixture.folder / "good";
  train(fixture.data, good, {}, 2, {8, 0});
  const std::string checkpoint = read_file(good / "checkpoint.safetensors");
  CHECK(contains(error_of([&] { train(fixture.data, good, {}, 2, {}, poison); }), "diverged"));
  CHECK(read_file(good / "checkpoint.safetensors") == checkpoint);
}

TEST_CASE("training: damaged and foreign checkpoints", "[training]") {
  const Fixture fixture;
  const fs::path run = fixture.folder / "run", other = fixture.folder / "other";
  train(fixture.data, run, {}, 2, {8, 0});
  train(fixture.data, other, {"seed=1"}, 2, {8, 0});
  const fs::path file = run / "checkpoint.safetensors";
  const std::string good = read_file(file);
  const auto refusal = [&](const std::string& content) {
    write_file(file, content);
    const std::string message = error_of([&] { train(fixture.data, run, {}, 2); });
    CHECK(contains(message, "checkpoint.safetensors"));
    CHECK(read_file(file) == content);
    return message;
  };
  refusal("");
  refusal("short");
  refusal(good.substr(0, good.size() / 2));
  refusal(good.substr(0, good.size() - 1));
  std::string flipped = good;
  flipped[good.size() - 100] ^= 1;
  refusal(flipped);
  CHECK(contains(refusal(read_file(other / "checkpoint.safetensors")), "not written by this run"));
  refusal(read_file(run / "best.safetensors"));
  write_safetensors(fixture.folder / "foreign.safetensors", {}, {{"made", "elsewhere"}});
  CHECK(contains(refusal(read_file(fixture.folder / "foreign.safetensors")), "not written by this run"));
  // A state that no training reaches: batches beyond the pairs, and numbers that are none.
  const Safetensors whole = [&] {
    write_file(file, good);
    return Safetensors::read(file);
  }();
  const auto with_state = [&](const std::string& key, const Json& value) {
    Json state = Json::parse(whole.metadata().at("state"));
    (key.rfind("best.", 0) == 0 ? state["best"][key.substr(5)] : state[key]) = value;
    std::vector<std::vector<float>> values;
    std::vector<SafetensorsArray> arrays;
    for (const std::string& name : whole.names()) values.push_back(whole.floats(name));
    for (std::size_t i = 0; i < values.size(); ++i)
      arrays.push_back({whole.names()[i], "F32", whole.shape(whole.names()[i]), values[i].data()});
    std::map<std::string, std::string> metadata = whole.metadata();
    metadata["state"] = state.dump();
    write_safetensors(fixture.folder / "made.safetensors", arrays, metadata);
    return read_file(fixture.folder / "made.safetensors");
  };
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, Json>>{{"count", 0},
                                                 {"count", 257},
                                                 {"count", 1'000'000'000},
                                                 {"first", 1'000'000},
                                                 {"first", INT64_MAX},
                                                 {"loss_sums", Json::array({1.0})}}) {
    INFO(key << ' ' << value.dump());
    CHECK(contains(refusal(with_state(key, value)), "its state is impossible"));
  }
  for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{{"step", -1},
                                                                            {"step", 1e300},
                                                                            {"epochs", UINT64_MAX},
                                                                            {"epoch", 0.5},
                                                                            {"best.epoch", "1"},
                                                                            {"best.without_gain", -1e300}}) {
    INFO(key << ' ' << value.dump());
    CHECK(contains(refusal(with_state(key, value)), "of its state is no natural number"));
  }
  write_file(file, good);
  // A line that the checkpoint has behind it is gone.
  const std::string metrics = read_file(run / "metrics.jsonl");
  write_file(run / "metrics.jsonl", metrics.substr(0, metrics.size() / 2));
  CHECK(contains(error_of([&] { train(fixture.data, run, {}, 2); }), "metrics.jsonl, line 1"));
  const std::string brackets = std::string(200'000, '[') + std::string(200'000, ']');
  write_file(run / "metrics.jsonl", R"({"epoch": )" + brackets + "}\n" + metrics);
  CHECK(contains(error_of([&] { train(fixture.data, run, {}, 2); }), "metrics.jsonl, line 1"));
  write_file(run / "metrics.jsonl", metrics);
  CHECK(train(fixture.data, run, {}, 2).epochs_run == 4);
}

TEST_CASE("run folder: one trainer at a time, and only in a run's folder", "[training]") {
  const Fixture fixture;
  ConfigurationRequest request;
  const RunDescription description{resolve_configuration(request), fixture.data, "1", "2"};
  const fs::path run = fixture.folder / "run";
  {
    RunFolder first(run, description);
    first.keep();
    CHECK(contains(error_of([&] { RunFolder second(run); }), "another process"));
    CHECK(contains(error_of([&] { RunFolder second(run, description); }), "--resume"));
  }
  { RunFolder again(run); }
  fs::create_directory(fixture.folder / "empty");
  { RunFolder empty(fixture.folder / "empty"); }
  write_file(fixture.folder / "mine" / "letter.txt", "dear");
  CHECK(contains(error_of([&] { RunFolder mine(fixture.folder / "mine"); }), "not the folder of a run"));
  CHECK(sea::test::entry_count(fixture.folder / "mine") == 1);
  { RunFolder gone(fixture.folder / "gone" / "deep", description); }
  CHECK(!fs::exists(fixture.folder / "gone"));
  RunFolder small(fixture.folder / "small", description);
  CHECK(contains(error_of([&] { small.require_space(std::int64_t{1} << 60); }), "disk"));
}
