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

#include "sea/philox.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/interrupted.hpp"
#include "support/process.hpp"
#include "support/skip.hpp"

using sea::test::BackgroundProcess;
using sea::test::CommandResult;
using sea::test::contains;
using sea::test::InterruptedTraining;
using sea::test::outcome_of;
using sea::test::read_file;
using sea::test::temporary_files;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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
  const InterruptedTraining setting;
  const fs::path whole = setting.folder / "whole", run = setting.folder / "run";
  REQUIRE(sea::test::run_command(setting.train(whole, {"--threads", "1"})).code == 0);
  const auto expected = outcome_of(whole);
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
  const InterruptedTraining setting;
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
  const InterruptedTraining setting;
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
  const InterruptedTraining setting;
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
  const InterruptedTraining setting;
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
  const InterruptedTraining setting;
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
