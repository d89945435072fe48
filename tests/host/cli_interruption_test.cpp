// `sea train` stopped, killed, out of disk and twice on one run.

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "data/synth.hpp"
#include "sea/philox.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/process.hpp"
#include "support/skip.hpp"

using sea::test::BackgroundProcess;
using sea::test::CommandResult;
using sea::test::contains;
using sea::test::read_file;
using sea::test::TemporaryFolder;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Setting {
  TemporaryFolder folder;
  fs::path data = folder / "data";
  Setting() {
    sea::synthesize(data, {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
  }

  /// Some tens of steps an epoch, so that a signal falls into the middle of one.
  std::vector<std::string> train(const fs::path& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {SEA_COMMAND, "train", data, "--output", run};
    for (const char* assignment :
         {"train_batch_size=64", "embedding_size=8", "club_steps=3", "learning_rate=0.01", "topk=20",
          "knn_k=5", "epochs=24", "stopping_step=50", "checkpoint_seconds=0.02"}) {
      words.insert(words.end(), {"--set", assignment});
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

/// What is left of a run beside what time and memory tell.
struct Outcome {
  std::vector<Json> metrics;
  std::string checkpoint, best, embeddings;
  bool operator==(const Outcome& other) const {
    return metrics == other.metrics && checkpoint == other.checkpoint && best == other.best &&
           embeddings == other.embeddings;
  }
};

Outcome outcome_of(const fs::path& run) {
  Outcome outcome;
  std::istringstream lines(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    outcome.metrics.push_back(Json::parse(line));
    for (const char* key : {"train_seconds", "eval_seconds", "peak_memory_bytes"})
      outcome.metrics.back().erase(key);
  }
  outcome.checkpoint = read_file(run / "checkpoint.safetensors");
  outcome.best = read_file(run / "best.safetensors");
  const fs::path file = run.parent_path() / "outcome.npz";
  REQUIRE(sea::test::run_command({SEA_COMMAND, "export", run, "--output", file}).code == 0);
  outcome.embeddings = read_file(file);
  return outcome;
}

/// Files that a writer had not finished with.
int temporary_files(const fs::path& folder) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(folder))
    count += contains(entry.path().filename().string(), ".tmp") ? 1 : 0;
  return count;
}

std::chrono::microseconds random_delay(std::int64_t index, std::uint32_t most) {
  const auto bits = sea::random_bits(11, sea::RandomPurpose::synthetic, 3, index);
  return std::chrono::microseconds(sea::uniform_below(bits, most));
}

/// A third of the time, in microseconds, that the epochs of a finished run took: a signal within it comes
/// before a run's end, on fast machines and on slow ones.
std::uint32_t third_of(const fs::path& run) {
  double seconds = 0.0;
  std::istringstream lines(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json epoch = Json::parse(line);
    seconds += epoch["train_seconds"].get<double>() + epoch["eval_seconds"].get<double>();
  }
  return static_cast<std::uint32_t>(std::clamp(seconds / 3.0, 0.001, 0.5) * 1e6);
}

void send_after(BackgroundProcess& process, int signal, const fs::path& run, std::int64_t index,
                std::uint32_t most) {
  CHECK(process.wait_until([&] { return fs::exists(run / "config.json"); }));
  std::this_thread::sleep_for(random_delay(index, most));
  process.signal(signal);
}

}  // namespace

TEST_CASE("interruption: SIGTERM and SIGINT save the state; resumed equals never stopped",
          "[command][interruption]") {
  const Setting setting;
  const fs::path whole = setting.folder / "whole", run = setting.folder / "run";
  REQUIRE(sea::test::run_command(setting.train(whole, {"--threads", "1"})).code == 0);
  const Outcome expected = outcome_of(whole);
  const std::uint32_t most = third_of(whole);
  int stopped = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> words = setting.train(run, {"--threads", std::to_string(1 + round % 3)});
    if (round > 0) words.push_back("--resume");
    BackgroundProcess process(words);
    const int signal = round % 2 == 0 ? SIGTERM : SIGINT;
    if (round < 12) send_after(process, signal, run, round, most);
    const CommandResult result = process.wait();
    INFO("round " << round << "\n" << result.error);
    CHECK(temporary_files(run) == 0);
    // Where it had ended when the signal came, all that is left is the exit code.
    if (result.code == 0 || fs::exists(run / "result.json")) break;
    REQUIRE(result.code == 128 + signal);
    // One that is stopped before it goes on has nothing to say: the run is as it was.
    CHECK((round > 0 || contains(result.error, "--resume")));
    REQUIRE(fs::exists(run / "checkpoint.safetensors"));
    ++stopped;
  }
  CHECK(stopped >= 1);
  REQUIRE(fs::exists(run / "result.json"));
  CHECK(outcome_of(run) == expected);
}

TEST_CASE("interruption: SIGKILL at any moment; resumed equals never stopped", "[command][interruption]") {
  const Setting setting;
  const fs::path whole = setting.folder / "whole", run = setting.folder / "run";
  REQUIRE(sea::test::run_command(setting.train(whole, {"--threads", "2"})).code == 0);
  const std::uint32_t most = third_of(whole);
  int killed = 0;
  for (int round = 0; round < 60; ++round) {
    // The first may be killed before there is a run at all: --resume then begins it.
    BackgroundProcess process(setting.train(run, {"--threads", std::to_string(1 + round % 2), "--resume"}));
    if (round == 0) {
      process.signal(SIGKILL);
    } else if (round < 12) {
      send_after(process, SIGKILL, run, 100 + round, most);
    }
    const CommandResult result = process.wait();
    INFO("round " << round << "\n" << result.error);
    if (result.code == 0 || fs::exists(run / "result.json")) break;
    REQUIRE(result.code == 128 + SIGKILL);
    ++killed;
  }
  CHECK(killed >= 2);
  CHECK(outcome_of(run) == outcome_of(whole));
  CHECK(temporary_files(run) == 0);
}

TEST_CASE("interruption: before the first epoch nothing is left behind", "[command][interruption]") {
  const Setting setting;
  for (int round = 0; round < 6; ++round) {
    const fs::path run = setting.folder / fmt::format("run{}", round);
    BackgroundProcess process(setting.train(run));
    std::this_thread::sleep_for(random_delay(round, 20'000));
    process.signal(SIGTERM);
    const CommandResult result = process.wait();
    INFO(result.error);
    CHECK(result.code == 128 + SIGTERM);
    // Either nothing, or a run that can be gone on with.
    CHECK((!fs::exists(run) || fs::exists(run / "checkpoint.safetensors")));
  }
}

TEST_CASE("interruption: a second trainer on one run is refused", "[command][interruption]") {
  const Setting setting;
  const fs::path run = setting.folder / "run";
  BackgroundProcess first(setting.train(run, {"--set", "epochs=100000", "--set", "stopping_step=100000"}));
  REQUIRE(first.wait_until([&] { return fs::exists(run / "best.safetensors"); }));
  const auto refusal = [&](const std::vector<std::string>& more) {
    const CommandResult result = sea::test::run_command(setting.train(run, more));
    CHECK(result.code == 1);
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') <= 3);
    return result.error;
  };
  CHECK(contains(refusal({}), "--resume"));
  CHECK(contains(refusal({"--resume"}), "another process"));
  // Meanwhile the run can be read.
  CHECK(sea::test::run_command({SEA_COMMAND, "evaluate", run}).code == 0);
  CHECK(sea::test::run_command({SEA_COMMAND, "evaluate", run, "--checkpoint", "last"}).code == 0);
  first.signal(SIGTERM);
  CHECK(first.wait().code == 128 + SIGTERM);
}

TEST_CASE("interruption: a full disk", "[command][interruption]") {
  const Setting setting;
  const fs::path disk = setting.folder / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=3m") != 0) {
    sea::test::skip("no permission to mount a small tmpfs");
    return;
  }
  struct Unmount {
    const fs::path& folder;
    ~Unmount() { ::umount2(folder.c_str(), MNT_DETACH); }
  } const unmount{disk};
  const auto fill = [&] {
    std::ofstream filler(disk / "filler", std::ios::binary | std::ios::app);
    const std::vector<char> block(4096, 'x');
    while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  };
  const auto check_failed = [&](const CommandResult& result, const std::string& part) {
    INFO(result.error);
    CHECK(result.code == 1);
    CHECK(contains(result.error, "error: "));
    CHECK(contains(result.error, part));
  };

  // Full from the start.
  fill();
  check_failed(sea::test::run_command(setting.train(disk / "run", {"--quiet"})), "disk");
  CHECK(!fs::exists(disk / "run"));
  fs::remove(disk / "filler");

  // Full while it trains: what had been saved is still whole, and gone on with once there is room.
  const fs::path whole = setting.folder / "whole";
  const std::vector<std::string> longer = {"--set", "epochs=30", "--threads", "1", "--quiet"};
  REQUIRE(sea::test::run_command(setting.train(whole, longer)).code == 0);
  {
    BackgroundProcess process(setting.train(disk / "run", longer));
    REQUIRE(process.wait_until([&] { return fs::exists(disk / "run" / "checkpoint.safetensors"); }));
    // What the trainer itself gives back, when it replaces a file, is taken as well.
    process.wait_until([&] {
      fill();
      return false;
    });
    check_failed(process.wait(), "No space left");
    CHECK(temporary_files(disk / "run") == 0);
  }
  std::vector<std::string> resume = setting.train(disk / "run", longer);
  resume.push_back("--resume");
  fs::remove(disk / "filler");
  REQUIRE(sea::test::run_command(resume).code == 0);

  // Full where results are written.
  const fs::path run = disk / "run";
  fill();
  for (const char* name : {"e.npz", "e.safetensors"})
    check_failed(sea::test::run_command({SEA_COMMAND, "export", run, "--output", disk / name}),
                 "No space left");
  for (const char* name : {"r.tsv", "r.jsonl", "r.npz"}) {
    check_failed(sea::test::run_command({SEA_COMMAND, "recommend", run, "--all", "--output", disk / name}),
                 "No space left");
  }
  check_failed(sea::test::run_command({SEA_COMMAND, "evaluate", run, "--output", disk / "e.json"}),
               "No space left");
  CHECK(sea::test::entry_count(disk) == 2);  // the run and the filler
  fs::remove(disk / "filler");
  CHECK(outcome_of(run) == outcome_of(whole));
}

TEST_CASE("interruption: a result that cannot be written to stdout is a failure", "[command][interruption]") {
  const Setting setting;
  const fs::path run = setting.folder / "run";
  const auto to_full = [](const std::string& words) {
    return sea::test::run_command({"sh", "-c", fmt::format("{} {} > /dev/full", SEA_COMMAND, words)});
  };
  const std::string train = fmt::format("train {} --output {} --epochs 1 --set knn_k=5 --quiet",
                                        setting.data.string(), run.string());
  // The run itself is whole all the same.
  for (const std::string& words : {train, train + " --resume", "evaluate " + run.string(),
                                   "recommend --all " + run.string(), std::string("models")}) {
    const CommandResult result = to_full(words);
    INFO(words << "\n" << result.error);
    CHECK(result.code == 1);
    CHECK(contains(result.error, "stdout"));
  }
  CHECK(fs::exists(run / "result.json"));
}
