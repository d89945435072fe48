// What the `sea` command says about a command line or a folder that it cannot use.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sea/error.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/interrupted.hpp"
#include "support/process.hpp"
#include "support/training.hpp"
#include "training/auto_device.hpp"

using sea::test::BackgroundProcess;
using sea::test::CommandResult;
using sea::test::contains;
using sea::test::InterruptedTraining;
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

/// A command that must fail with `code` and one line on stderr that is "error: " and `message`.
void check_message(const std::vector<std::string>& words, int code, const std::string& message) {
  const CommandResult result = run_sea(words);
  CHECK(result.code == code);
  CHECK(result.out.empty());
  CHECK(result.error == "error: " + message + "\n");
}

/// Interactions without features.
struct Plain {
  TemporaryFolder folder;
  fs::path data = folder / "plain";
  Plain() {
    write_file(data / "plain.inter",
               "userID\titemID\tx_"
               "label\n0\t0\t0\n0\t1\t0\n0\t2\t1\n1\t1\t0\n1\t2\t0\n1\t3\t2\n2\t2\t0\n2\t3\t0\n2\t0\t"
               "1\n3\t3\t0\n3\t0\t0\n3\t1\t2\n");
  }
  std::vector<std::string> train(const fs::path& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"train", data, "--model", "bpr", "--epochs", "1", "--output", run};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

}  // namespace

TEST_CASE("messages: an option that does not exist", "[command][messages]") {
  const Plain plain;
  const std::string data = plain.data;
  check_message({"train", "--lr", "0.1", data}, 2,
                "--lr: sea train has no such option; did you mean --set learning_rate=VALUE or --set "
                "loss_ratio=VALUE?");
  check_message({"train", data, "--learning-rate", "0.1"}, 2,
                "--learning-rate: sea train has no such option; it is a configuration key: --set "
                "learning_rate=VALUE");
  check_message({"train", "--knn_k=3", data}, 2,
                "--knn_k: sea train has no such option; it is a configuration key: --set knn_k=VALUE");
  check_message({"train", "--ouput", "x", data}, 2,
                "--ouput: sea train has no such option; did you mean --output?");
  check_message(
      {"tune", "--batch_size", "8", data}, 2,
      "--batch_size: sea tune has no such option; did you mean --set train_batch_size=VALUE or --set "
      "eval_batch_size=VALUE or --set pretrain_batch_size=VALUE?");
  check_message({"recommend", "run", "--top_k", "8"}, 2,
                "--top_k: sea recommend has no such option; did you mean --top-k?");
  check_message({"train", data, "--jobs", "2"}, 2, "--jobs: sea train has no such option; sea tune has it");
  check_message({"evaluate", "--frobnicate", "run"}, 2,
                "--frobnicate: sea evaluate has no such option; sea evaluate --help lists them");
  check_message({"-x", "train"}, 2, "-x: sea has no such option; sea --help lists them");
  // A value that looks like an option is a value all the same.
  check_message({"train", data, "--set", "--lr"}, 2, "--set --lr: is not of the form key=value");
}

TEST_CASE("messages: names are suggested where they are near, and nowhere else", "[command][messages]") {
  const Plain plain;
  const auto refusal = [&](const std::string& assignment) {
    return run_sea({"train", plain.data, "--model", "bpr", "--set", assignment}).error;
  };
  CHECK(refusal("lr=1") ==
        "error: --set lr=1: there is no key 'lr' of the model bpr; did you mean learning_rate?\n");
  CHECK(refusal("quux=1") ==
        "error: --set quux=1: there is no key 'quux' of the model bpr; sea models lists the keys\n");
  CHECK(contains(
      refusal("knn_k=1"),
      "error: --set knn_k=1: there is no key 'knn_k' of the model bpr; it is a key of sea, freedom"));
  CHECK(refusal("epoch=1") ==
        "error: --set epoch=1: there is no key 'epoch' of the model bpr; did you mean epochs?\n");
  check_message({"trian", "x"}, 2, "there is no command 'trian'; did you mean train?");
  check_message({"frobnicate"}, 2,
                "there is no command 'frobnicate'; the commands are info, train, tune, evaluate, compare, "
                "recommend, similar, neighbours, export, synth, models");
}

TEST_CASE("messages: empty values", "[command][messages]") {
  const Plain plain;
  const std::string data = plain.data, folder = "folder of the run (default: runs/DATA-MODEL-SEED)";
  check_message({"train", data, "--output", ""}, 2, "--output: its value is empty; it is to be: " + folder);
  // Not the next word in its place.
  check_message({"train", "--output=", data}, 2, "--output: its value is empty; it is to be: " + folder);
  check_message({"train", ""}, 2, "DATA: is empty; it is to be the folder of the data set");
  check_message({"evaluate", "", "--split", "test"}, 2, "RUN: is empty; it is to be the folder of the run");
  check_message({"synth", ""}, 2, "OUTPUT: is empty; it is to be the folder to make; it must not exist");
  check_message({"export", "run", "--output", ""}, 2,
                "--output: its value is empty; it is to be: file that ends in .npz or .safetensors");
}

TEST_CASE("messages: where a run cannot begin, and where it can", "[command][messages]") {
  const Plain plain;
  const fs::path file = plain.folder / "file", full = plain.folder / "full", empty = plain.folder / "empty";
  write_file(file, "x");
  write_file(full / "notes.txt", "x");
  fs::create_directory(empty);
  std::vector<std::string> tune = {"tune",     plain.data, "--model", "bpr",     "--grid",
                                   "seed=1,2", "--epochs", "1",       "--output"};
  tune.push_back("");
  for (const std::vector<std::string>& resume : {std::vector<std::string>{}, {"--resume"}}) {
    const std::string not_a_folder =
        file.string() + ": is there already and is not a folder; name another --output";
    check_message(plain.train(file, resume), 1, not_a_folder);
    tune.back() = file;
    std::vector<std::string> words = tune;
    words.insert(words.end(), resume.begin(), resume.end());
    check_message(words, 1, not_a_folder);
  }
  check_message(plain.train(full), 1,
                full.string() + ": is there already and not empty; name another --output");
  check_message(plain.train(full, {"--resume"}), 1,
                full.string() + ": is not the folder of a run; it has no config.json");
  tune.back() = full;
  check_message(tune, 1, full.string() + ": is there already and not empty; name another --output");
  tune.push_back("--resume");
  check_message(tune, 1, full.string() + ": is not the folder of a search; it has no tune.json");
  tune.pop_back();

  // A training that fails leaves an empty folder as it was.
  CHECK(run_sea(plain.train(empty, {"--set", "learning_rate=1", "--model", "sea"})).code != 0);
  CHECK(run_sea(plain.train(empty, {"--set", "checkpoint_seconds=0", "--device", "cuda:99"})).code == 1);
  CHECK(fs::is_empty(empty));
  CHECK(run_sea(plain.train(empty)).code == 0);
  CHECK(fs::exists(empty / "result.json"));
  check_message(plain.train(empty), 1,
                empty.string() + ": is there already; go on with it by --resume, or name another --output");
  fs::create_directory(plain.folder / "search");
  tune.back() = plain.folder / "search";
  CHECK(run_sea(tune).code == 0);
  CHECK(fs::exists(plain.folder / "search" / "2" / "result.json"));
}

TEST_CASE("messages: a folder that holds runs is no run; the best one is named", "[command][messages]") {
  const InterruptedTraining setting;
  const fs::path runs = setting.folder / "runs", search = setting.folder / "search";
  const std::vector<std::string> small = {"--model", "bpr", "--epochs", "1", "--set", "learning_rate=0.01"};
  const auto command = [&](std::vector<std::string> words) {
    words.insert(words.end(), small.begin(), small.end());
    const CommandResult result = run_sea(words);
    INFO(result.error);
    REQUIRE(result.code == 0);
  };
  command({"train", setting.data, "--seed", "1,2,3", "--output", runs});
  command({"tune", setting.data, "--grid", "seed=1,2", "--output", search});
  const auto best_of = [](const fs::path& folder, const std::vector<std::string>& names) {
    fs::path best;
    double highest = -1.0;
    for (const std::string& name : names) {
      const double value = Json::parse(read_file(folder / name / "result.json"))["valid"]["recall@20"];
      if (value > highest) best = folder / name;
      highest = std::max(highest, value);
    }
    return best.string();
  };
  const std::string holds =
      runs.string() + ": is not the folder of a run but one that holds runs; its best run on validation is " +
      best_of(runs, {"1", "2", "3"});
  check_message({"evaluate", runs}, 1, holds);
  check_message({"recommend", runs, "--all"}, 1, holds);
  check_message({"export", runs, "--output", setting.folder / "e.npz"}, 1, holds);
  check_message({"train", setting.data, "--resume", "--output", runs}, 1, holds);
  check_message({"evaluate", search}, 1,
                search.string() +
                    ": is not the folder of a run but that of a search; its best run on validation is " +
                    best_of(search, {"1", "2"}));
  fs::remove(search / "1" / "result.json");
  fs::remove(search / "2" / "result.json");
  check_message({"evaluate", search}, 1,
                search.string() +
                    ": is not the folder of a run but that of a search; name one of them, as in " +
                    (search / "1").string());
}

TEST_CASE("messages: without features, the models that need none", "[command][messages]") {
  const Plain plain;
  const std::string image = (plain.data / "image_feat.npy").string();
  const std::string message =
      image +
      ": no such visual feature file; .npy files here: none; without features train --model bpr, lightgcn, "
      "layergcn";
  check_message({"train", plain.data, "--output", plain.folder / "run"}, 1, message);
  check_message({"tune", plain.data, "--grid", "seed=1,2", "--output", plain.folder / "run"}, 1, message);
  CHECK(contains(run_sea({"info", plain.data}).out, "bpr, lightgcn, layergcn\n"));
  // Where something else is missing, it is not about features.
  CHECK(!contains(run_sea({"train", plain.folder / "nowhere"}).error, "--model"));
}

TEST_CASE("messages: sea evaluate writes JSON, under a name that says so", "[command][messages]") {
  const Plain plain;
  const fs::path run = plain.folder / "run";
  REQUIRE(run_sea(plain.train(run)).code == 0);
  for (const std::string name : {"x.csv", "x", "-"})
    check_message({"evaluate", run, "--output", name}, 2, "--output " + name + ": must end in .json");
  CHECK(run_sea({"evaluate", run, "--output", plain.folder / "x.JSON"}).code == 0);
}

TEST_CASE("messages: after Ctrl-C the whole command to go on, for a shell", "[command][messages]") {
  const InterruptedTraining setting;
  const fs::path data = setting.folder / "it's data";
  fs::create_directory(data);
  fs::copy(setting.data / "data.inter", data / "it's data.inter");
  fs::copy(setting.data / "image_feat.npy", data / "image_feat.npy");
  fs::copy(setting.data / "text_feat.npy", data / "text_feat.npy");
  const auto interrupted = [&](const fs::path& run, const fs::path& first,
                               const std::vector<std::string>& more) {
    std::vector<std::string> words = setting.train(run, more);
    words[2] = data;
    BackgroundProcess process(words);
    REQUIRE(process.wait_until([&] { return fs::exists(first / "checkpoint.safetensors"); }));
    process.signal(SIGINT);
    const CommandResult result = process.wait();
    INFO(result.error);
    REQUIRE(result.code == 128 + SIGINT);
    constexpr std::string_view head = "note: stopped; go on with: ";
    const std::size_t at = result.error.find(head);
    REQUIRE(at != std::string::npos);
    const std::string rest = result.error.substr(at + head.size());
    return rest.substr(0, rest.find('\n'));
  };
  const fs::path run = setting.folder / "a run", seeds = setting.folder / "seeds";
  const std::string command = interrupted(run, run, {});
  CHECK(command == fmt::format("{} train '{}/it'\\''s data' --resume --output '{}'", SEA_COMMAND,
                               setting.folder.path().string(), run.string()));
  CommandResult result = sea::test::run_command({"sh", "-c", command});
  INFO(result.error);
  CHECK(result.code == 0);
  CHECK(fs::exists(run / "result.json"));
  // The seed that had not begun is trained with the same settings.
  const std::string both = interrupted(seeds, seeds / "7", {"--seed", "7,8", "--epochs", "20"});
  result = sea::test::run_command({"sh", "-c", both});
  INFO(both << "\n" << result.error);
  CHECK(result.code == 0);
  const Json first = Json::parse(read_file(seeds / "7" / "config.json"));
  const Json second = Json::parse(read_file(seeds / "8" / "config.json"));
  for (const char* key : {"train_batch_size", "epochs", "knn_k"}) CHECK(first[key] == second[key]);
}

TEST_CASE("messages: --device auto says that a GPU could not be opened", "[messages]") {
  const auto cpu = [] { return sea::Device{std::make_unique<sea::CpuBackend>(1), "cpu", 1}; };
  const auto gpu = [] { return sea::Device{std::make_unique<sea::CpuBackend>(1), "cuda:0", 1}; };
  const auto broken = []() -> sea::Device { throw sea::Error("out of device memory"); };
  CHECK(sea::open_auto(1, gpu, cpu).name == "cuda:0");
  CHECK(sea::open_auto(1, gpu, cpu).notice.empty());
  CHECK(sea::open_auto(0, broken, cpu).name == "cpu");
  CHECK(sea::open_auto(0, broken, cpu).notice.empty());
  const sea::Device device = sea::open_auto(1, broken, cpu);
  CHECK(device.name == "cpu");
  CHECK(device.notice ==
        "--device auto: computing on the processor, since the GPU cannot be used: out of device memory");
}

TEST_CASE("messages: on a GPU peak_memory_bytes is the device's, the host's stands beside it", "[messages]") {
  const sea::test::TrainingFixture fixture;
  const fs::path run = fixture.folder / "run";
  sea::ConfigurationRequest request;
  request.model = "bpr";
  request.epochs = "1";
  const sea::Configuration configuration = sea::resolve_configuration(request);
  sea::CpuBackend backend(1);
  sea::Dataset dataset = sea::load_dataset(fixture.data, configuration.model().files(configuration));
  const auto model = configuration.model().build(backend, dataset, configuration, [](const std::string&) {});
  const sea::RunDescription description{configuration, fixture.data, dataset.fingerprint,
                                        dataset.interactions_fingerprint};
  sea::RunFolder folder(run, description);
  sea::Trainer trainer(*model, dataset, configuration, folder);
  sea::TrainingCallbacks callbacks;
  callbacks.device_peak_memory = [] { return std::int64_t{12345}; };
  trainer.run(callbacks);
  const Json line = Json::parse(read_file(run / "metrics.jsonl"));
  CHECK(line["peak_memory_bytes"] == 12345);
  CHECK(line["host_peak_memory_bytes"] > 1'000'000);
}
