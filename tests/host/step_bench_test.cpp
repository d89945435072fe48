// bench/: how steps are timed, and what step_bench writes.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/synth.hpp"
#include "support/catch.hpp"
#include "support/command.hpp"
#include "support/files.hpp"
#include "support/timing.hpp"

using namespace sea::bench;
using sea::test::read_file;
using sea::test::TemporaryFolder;

namespace {

/// Calls that take `seconds` each by a clock of their own; what happened, in order: the number of calls
/// before each synchronisation, and -1 where the timed ones begin.
struct Watched {
  explicit Watched(double of_a_call) : seconds(of_a_call) {}

  Timed time(const Timing& timing) {
    return time_calls(timing,
                      {[this](std::int64_t i) {
                         REQUIRE(i == calls);
                         ++calls;
                         ++since_synchronisation;
                         clock += seconds;
                       },
                       [this] {
                         stretches.push_back(since_synchronisation);
                         since_synchronisation = 0;
                       },
                       [this] {
                         stretches.clear();
                         began_at = clock;
                       }},
                      [this] { return clock; });
  }

  double seconds, clock = 0.0, began_at = 0.0;
  std::int64_t calls = 0, since_synchronisation = 0;
  std::vector<std::int64_t> stretches;  ///< of the timed calls
};

}  // namespace

TEST_CASE("step_bench: on a GPU a second of warm-up, and 200 steps between two synchronisations", "[bench]") {
  Watched watched(1.0 / 256);
  const Timed timed = watched.time(timing_of_steps(true, {}, {}));
  CHECK(watched.began_at == 1.0);
  CHECK(timed.warmup == 256);
  CHECK(watched.stretches == std::vector<std::int64_t>(5, 200));
  CHECK(timed.seconds == std::vector<double>(5, 1.0 / 256));

  Watched slow(4.0);
  CHECK(slow.time(timing_of_steps(true, 410, 3)).warmup == 3);
  CHECK(slow.stretches == std::vector<std::int64_t>{205, 205});
  Watched few(0.25);
  CHECK(few.time(timing_of_steps(true, 7, 0)).warmup == 4);  // the second stays
  CHECK(few.stretches == std::vector<std::int64_t>{7});
  Watched evaluations(0.5);
  CHECK(evaluations.time(timing_of_evaluations(true, 3, 0)).warmup == 2);
  CHECK(evaluations.stretches == std::vector<std::int64_t>{1, 1, 1});
}

TEST_CASE("step_bench: on the processor 2 steps of warm-up, and 10 timed alone", "[bench]") {
  Watched watched(0.001);
  CHECK(watched.time(timing_of_steps(false, {}, {})).warmup == 2);
  CHECK(watched.stretches == std::vector<std::int64_t>(10, 1));
  Watched given(0.001);
  CHECK(given.time(timing_of_steps(false, 3, 0)).warmup == 0);
  CHECK(given.stretches == std::vector<std::int64_t>(3, 1));
}

TEST_CASE("step_bench: what it measured, as JSON", "[bench]") {
  const TemporaryFolder folder;
  sea::synthesize(folder / "tiny", {150, 70, 1700, 16, 12}, 5, [](const char*, double) {});
  const auto measured = [&](std::vector<std::string> more) {
    more.insert(more.begin(),
                {SEA_STEP_BENCH, folder / "tiny", "--threads", "1", "--json", folder / "out.json"});
    const sea::test::CommandResult result = sea::test::run_command(more);
    INFO(result.error);
    REQUIRE(result.code == 0);
    return nlohmann::json::parse(read_file(folder / "out.json"));
  };
  const nlohmann::json steps = measured({});
  CHECK(steps["steps"] == 10);
  CHECK(steps["warmup_steps"] == 2);
  CHECK(steps["synchronisations"] == 10);
  CHECK(steps["seconds_per_step_median"].get<double>() > 0.0);
  CHECK(!steps.contains("clock_mhz_before"));  // of a GPU
  const nlohmann::json epochs = measured({"--epochs", "3", "--warmup", "1", "--model", "lattice"});
  CHECK(epochs["epochs"] == 3);
  CHECK(epochs["warmup_epochs"] == 1);
  CHECK(epochs["synchronisations"] == 3);
  CHECK(epochs["seconds_per_epoch_median"].get<double>() > 0.0);
  CHECK(epochs["processor_seconds_per_epoch_median"].get<double>() > 0.0);
  const nlohmann::json evaluations = measured({"--evaluations", "2", "--warmup", "1"});
  CHECK(evaluations["evaluations"] == 2);
  CHECK(evaluations["warmup_evaluations"] == 1);
  CHECK(evaluations["seconds_per_evaluation_median"].get<double>() > 0.0);
}
