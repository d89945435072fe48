// The `sea` command where its terminal, a pipe or a log file goes away: what cannot be shown is not shown.

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>

#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/interrupted.hpp"
#include "support/process.hpp"

using sea::test::BackgroundProcess;
using sea::test::CommandResult;
using sea::test::contains;
using sea::test::InterruptedTraining;
using sea::test::outcome_of;
using sea::test::read_file;
using sea::test::temporary_files;

namespace {

namespace fs = std::filesystem;

/// One of every command, each of which has something to say on both streams where it can; the first trains
/// `run`.
std::vector<std::string> every_command(const InterruptedTraining& setting, const fs::path& folder) {
  const std::string data = setting.data, run = folder / "run";
  const std::string small = " --model bpr --set topk=20 --epochs 2";
  return {fmt::format("train {} --output {}{}", data, run, small),
          fmt::format("tune {} --output {} --grid seed=1,2{}", data, (folder / "search").string(), small),
          fmt::format("evaluate {}", run),
          fmt::format("recommend {} --all", run),
          fmt::format("export {} --output {}", run, (folder / "e.npz").string()),
          fmt::format("info {}", data),
          fmt::format("synth {} --users 60 --items 40 --interactions 600", (folder / "made").string()),
          "models",
          "--help",
          "train --help",
          "--version"};
}

CommandResult in_shell(const std::string& words, const std::string& redirections) {
  return sea::test::run_command({"sh", "-c", fmt::format("{} {} {}", SEA_COMMAND, words, redirections)});
}

/// A user without training history, so that notices are printed.
void add_user_without_history(const fs::path& data) {
  sea::test::write_file(data / "data.inter", read_file(data / "data.inter") + "150\t3\t2\n");
}

/// Both ends of a pipe.
struct Pipe {
  std::array<int, 2> ends{};
  Pipe() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_reader() { close(0); }
  void close_writer() { close(1); }
  /// Reads until `part` has come; false where the writer ends before.
  bool read_until(const std::string& part) { return sea_read_until(ends[0], part); }

  static bool sea_read_until(int descriptor, const std::string& part) {
    std::string text;
    std::array<char, 256> block{};
    while (!contains(text, part)) {
      const ssize_t count = ::read(descriptor, block.data(), block.size());
      if (count <= 0) return false;
      text.append(block.data(), static_cast<std::size_t>(count));
    }
    return true;
  }

 private:
  void close(std::size_t end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
};

/// A terminal whose other side this process holds.
struct Terminal {
  int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  std::string name;
  Terminal() {
    REQUIRE(master >= 0);
    REQUIRE(::grantpt(master) == 0);
    REQUIRE(::unlockpt(master) == 0);
    name = ::ptsname(master);
  }
  ~Terminal() { hang_up(); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  void hang_up() {
    if (master >= 0) ::close(master);
    master = -1;
  }
  /// Makes it the controlling terminal of a process, which writes its stderr to it.
  BackgroundProcess::Attributes attributes() const {
    return [this](posix_spawn_file_actions_t& actions, posix_spawnattr_t& attributes_of_process) {
      posix_spawnattr_setflags(&attributes_of_process, POSIX_SPAWN_SETSID);
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, name.c_str(), O_RDWR, 0);
    };
  }
};

}  // namespace

TEST_CASE("terminal: every command ends well where nothing can be shown", "[command][terminal]") {
  const InterruptedTraining setting;
  add_user_without_history(setting.data);
  int number = 0;
  for (const std::string redirections :
       {"2>/dev/full", "2>&-", "<&- >&- 2>&-", ">&- 2>&-", "<&-", "2</dev/null"}) {
    const fs::path folder = setting.folder / fmt::format("shown{}", number++);
    fs::create_directory(folder);
    for (const std::string& words : every_command(setting, folder)) {
      const CommandResult result = in_shell(words, redirections);
      INFO(words << " " << redirections << "\n" << result.error);
      CHECK(result.code == 0);
    }
    CHECK(fs::exists(folder / "run" / "result.json"));
    CHECK(fs::exists(folder / "search" / "2" / "result.json"));
    // No message has landed in a file.
    CHECK(fs::file_size(folder / "run" / "lock") == 0);
    CHECK(fs::file_size(folder / "search" / "lock") == 0);
  }
}

TEST_CASE("terminal: errors keep their exit code where they cannot be shown", "[command][terminal]") {
  for (const char* redirections : {"2>/dev/full", "2>&-", "<&- >&- 2>&-"}) {
    INFO(redirections);
    CHECK(in_shell("train /nowhere", redirections).code == 1);
    CHECK(in_shell("train --bogus", redirections).code == 2);
    CHECK(in_shell("evaluate /nowhere", redirections).code == 1);
    CHECK(in_shell("recommend", redirections).code == 2);
  }
}

TEST_CASE("terminal: results that cannot be written are an error of one sentence", "[command][terminal]") {
  const InterruptedTraining setting;
  const fs::path folder = setting.folder.path();
  for (const std::string& words : every_command(setting, folder)) {
    const CommandResult result = in_shell(words, ">/dev/full");
    INFO(words << "\n" << result.error);
    if (words.rfind("export", 0) == 0) {
      CHECK(result.code == 0);  // it has no word to say
      continue;
    }
    CHECK(result.code == 1);
    CHECK(contains(result.error, "error: stdout: cannot be written: No space left on device\n"));
  }
  // What was asked for beside the words is there.
  CHECK(fs::exists(folder / "run" / "result.json"));
  CHECK(fs::exists(folder / "search" / "tune.json"));
  CHECK(fs::exists(folder / "made" / "made.inter"));
}

TEST_CASE("terminal: every seed is trained where their results cannot be shown", "[command][terminal]") {
  const InterruptedTraining setting;
  const fs::path runs = setting.folder / "runs";
  const CommandResult result = in_shell(fmt::format("train {} --model bpr --epochs 1 --seed 1,2 --output {}",
                                                    setting.data.string(), runs.string()),
                                        ">/dev/full");
  CHECK(result.code == 1);
  CHECK(contains(result.error, "stdout: cannot be written"));
  CHECK(fs::exists(runs / "2" / "result.json"));
}

TEST_CASE("terminal: a reader who has read enough ends a command without a word", "[command][terminal]") {
  const InterruptedTraining setting;
  const fs::path run = setting.folder / "run";
  REQUIRE(
      in_shell(
          fmt::format("train {} --model bpr --epochs 1 --output {}", setting.data.string(), run.string()), "")
          .code == 0);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{SEA_COMMAND, "recommend", run, "--all"},
        {SEA_COMMAND, "models"},
        {SEA_COMMAND, "evaluate", run},
        {SEA_COMMAND, "--help"}}) {
    Pipe pipe;
    pipe.close_reader();
    BackgroundProcess process(words, [&](posix_spawn_file_actions_t& actions, posix_spawnattr_t&) {
      posix_spawn_file_actions_adddup2(&actions, pipe.ends[1], STDOUT_FILENO);
    });
    const CommandResult result = process.wait();
    INFO(words[1] << "\n" << result.error);
    CHECK(result.code == 128 + SIGPIPE);
    CHECK(result.error.empty());
  }
}

TEST_CASE(
    "terminal: a training goes on to the same bits after its terminal, or the reader of its progress, is "
    "gone",
    "[command][terminal][interruption]") {
  const InterruptedTraining setting;
  const fs::path whole = setting.folder / "whole", run = setting.folder / "run";
  REQUIRE(sea::test::run_command(setting.train(whole, {"--threads", "1"})).code == 0);

  const std::string what = GENERATE("terminal", "pipe", "SIGHUP");
  int signal = SIGHUP;
  CommandResult stopped;
  if (what == "terminal") {
    Terminal terminal;
    BackgroundProcess process(setting.train(run, {"--threads", "1"}), terminal.attributes());
    REQUIRE(Pipe::sea_read_until(terminal.master, "epoch 0 "));
    terminal.hang_up();
    stopped = process.wait();
  } else if (what == "pipe") {
    signal = SIGPIPE;
    Pipe pipe;
    BackgroundProcess process(setting.train(run, {"--threads", "1"}),
                              [&](posix_spawn_file_actions_t& actions, posix_spawnattr_t&) {
                                posix_spawn_file_actions_adddup2(&actions, pipe.ends[1], STDERR_FILENO);
                              });
    pipe.close_writer();
    REQUIRE(pipe.read_until("epoch 0 "));
    pipe.close_reader();
    stopped = process.wait();
  } else {
    BackgroundProcess process(setting.train(run, {"--threads", "1"}));
    REQUIRE(process.wait_until([&] { return fs::exists(run / "checkpoint.safetensors"); }));
    // A closed terminal sends it from the kernel and from the shell.
    for (int i = 0; i < 3; ++i) process.signal(SIGHUP);
    stopped = process.wait();
  }
  INFO(what << "\n" << stopped.error);
  REQUIRE(stopped.code == 128 + signal);
  REQUIRE(!fs::exists(run / "result.json"));
  CHECK(fs::exists(run / "checkpoint.safetensors"));
  CHECK(temporary_files(run) == 0);

  const CommandResult resumed = sea::test::run_command(setting.train(run, {"--threads", "2", "--resume"}));
  INFO(resumed.error);
  REQUIRE(resumed.code == 0);
  CHECK(outcome_of(run) == outcome_of(whole));
}

TEST_CASE("terminal: a training under nohup outlives its terminal", "[command][terminal][interruption]") {
  const InterruptedTraining setting;
  const fs::path run = setting.folder / "run";
  Terminal terminal;
  std::vector<std::string> words = setting.train(run, {"--threads", "1"});
  words.insert(words.begin(), {"sh", "-c", "trap '' HUP; exec \"$@\"", "sh"});
  BackgroundProcess process(words, terminal.attributes());
  REQUIRE(Pipe::sea_read_until(terminal.master, "epoch 0 "));
  terminal.hang_up();
  const CommandResult result = process.wait();
  CHECK(result.code == 0);
  CHECK(contains(result.out, "Recall"));
  CHECK(fs::exists(run / "result.json"));
}

TEST_CASE("terminal: SIGHUP stops a search, which goes on afterwards", "[command][terminal][interruption]") {
  const InterruptedTraining setting;
  const fs::path search = setting.folder / "search";
  std::vector<std::string> words = setting.train(search, {"--grid", "seed=1,2", "--threads", "1"});
  words[1] = "tune";
  {
    BackgroundProcess process(words);
    REQUIRE(process.wait_until([&] { return fs::exists(search / "1" / "checkpoint.safetensors"); }));
    process.signal(SIGHUP);
    const CommandResult stopped = process.wait();
    INFO(stopped.error);
    CHECK(stopped.code == 128 + SIGHUP);
    CHECK(contains(stopped.error,
                   fmt::format("tune {} --resume --output {}", setting.data.string(), search.string())));
  }
  words.push_back("--resume");
  CHECK(sea::test::run_command(words).code == 0);
  CHECK(fs::exists(search / "2" / "result.json"));
}
