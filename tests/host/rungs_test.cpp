// The runs that a search trains next: schedules by hand, and whole searches of made-up curves.

#include "training/rungs.hpp"

#include <algorithm>
#include <numeric>

#include "data/random_stream.hpp"
#include "support/catch.hpp"

using namespace sea;

namespace {

std::vector<std::int64_t> epochs_of(const Rung& rung) {
  std::vector<std::int64_t> epochs;
  for (const RungRun& run : rung.runs) epochs.push_back(run.epochs);
  return epochs;
}
std::vector<std::size_t> runs_of(const Rung& rung) {
  std::vector<std::size_t> runs;
  for (const RungRun& run : rung.runs) runs.push_back(run.run);
  return runs;
}

/// Trains what is asked for until nothing is, in an order drawn by `seed`, and counts the epochs. A run stops
/// early at stops_at[run] epochs; its metric is quality[run] whenever it is asked.
struct Made {
  std::vector<RunProgress> runs;
  std::int64_t spent = 0;
};
Made train_all(const EpochPlan& plan, const std::vector<double>& quality,
               const std::vector<std::int64_t>& stops_at, std::uint64_t seed) {
  Made made{std::vector<RunProgress>(quality.size())};
  RandomStream random(seed, 0);
  while (true) {
    const Rung rung = next_rung(plan, made.runs);
    if (rung.runs.empty()) return made;
    // One of them ends first; the others are asked for again.
    const RungRun& run = rung.runs[random.below(static_cast<std::uint32_t>(rung.runs.size()))];
    RunProgress& progress = made.runs[run.run];
    const std::int64_t before = progress.rungs.empty() ? 0 : progress.rungs.back().epochs_run;
    const std::int64_t now = std::min(run.epochs, stops_at[run.run]);
    REQUIRE(run.epochs > before);
    made.spent += now - before;
    progress.rungs.push_back({rung.number, now, quality[run.run], now < run.epochs});
  }
}

}  // namespace

TEST_CASE("rungs: without budget and halving every run trains to its end, once", "[tune]") {
  const EpochPlan plan{{}, false, 30};
  std::vector<RunProgress> runs(3);
  CHECK(!plan.shares());
  CHECK(epochs_of(next_rung(plan, runs)) == std::vector<std::int64_t>{30, 30, 30});
  runs[1].rungs = {{0, 12, 0.5, true}};
  runs[2].failed = true;
  CHECK(runs_of(next_rung(plan, runs)) == std::vector<std::size_t>{0});
  runs[0].rungs = {{0, 30, 0.5, false}};
  CHECK(next_rung(plan, runs).runs.empty());
}

TEST_CASE("rungs: halving of five runs to 40 epochs", "[tune]") {
  const EpochPlan plan{{}, true, 40};
  REQUIRE(rung_count(plan, 5) == 4);  // 5, 3, 2, 1
  CHECK(rung_count(plan, 8) == 4);
  CHECK(rung_count(plan, 2) == 2);
  CHECK(rung_count(plan, 1) == 1);
  std::vector<RunProgress> runs(5);
  CHECK(epochs_of(next_rung(plan, runs)) == std::vector<std::int64_t>(5, 5));
  const double valid[] = {0.1, 0.4, 0.2, 0.4, 0.2};
  for (std::size_t i = 0; i < 5; ++i) runs[i].rungs = {{0, 5, valid[i], false}};
  // 1 and 3, and of the two with 0.2 the first.
  Rung next = next_rung(plan, runs);
  CHECK(next.number == 1);
  CHECK(runs_of(next) == std::vector<std::size_t>{1, 2, 3});
  CHECK(epochs_of(next) == std::vector<std::int64_t>(3, 10));
  runs[1].rungs.push_back({1, 7, 0.45, true});  // stopped early
  runs[2].rungs.push_back({1, 10, 0.5, false});
  CHECK(runs_of(next_rung(plan, runs)) ==
        std::vector<std::size_t>{3});  // nothing is decided before all are in
  runs[3].rungs.push_back({1, 10, 0.41, false});
  next = next_rung(plan, runs);
  CHECK(runs_of(next) == std::vector<std::size_t>{2});  // 1 stays, and needs no more
  CHECK(epochs_of(next) == std::vector<std::int64_t>{20});
  runs[2].rungs.push_back({2, 20, 0.5, false});
  next = next_rung(plan, runs);
  CHECK(runs_of(next) == std::vector<std::size_t>{2});
  CHECK(epochs_of(next) == std::vector<std::int64_t>{40});
  runs[2].rungs.push_back({3, 40, 0.6, false});
  CHECK(next_rung(plan, runs).runs.empty());
}

TEST_CASE("rungs: a failed run drops out, and its place with it", "[tune]") {
  const EpochPlan plan{{}, true, 8};
  std::vector<RunProgress> runs(4);
  runs[0].rungs = {{0, 2, 0.1, false}};
  runs[1].failed = true;
  runs[2].rungs = {{0, 2, 0.3, false}};
  runs[3].rungs = {{0, 2, 0.2, false}};
  CHECK(runs_of(next_rung(plan, runs)) == std::vector<std::size_t>{2, 3});
  for (RunProgress& run : runs) run = {{}, true};
  CHECK(next_rung(plan, runs).runs.empty());
}

TEST_CASE("rungs: a budget in equal parts, and what early stops leave over", "[tune]") {
  const EpochPlan plan{20, false, 100};
  std::vector<RunProgress> runs(3);
  CHECK(epochs_of(next_rung(plan, runs)) == std::vector<std::int64_t>{6, 6, 6});
  runs[0].rungs = {{0, 3, 0.1, true}};
  runs[1].rungs = {{0, 6, 0.1, false}};
  runs[2].rungs = {{0, 6, 0.1, false}};
  // 5 epochs are left for two.
  Rung next = next_rung(plan, runs);
  CHECK(next.number == 1);
  CHECK(runs_of(next) == std::vector<std::size_t>{1, 2});
  CHECK(epochs_of(next) == std::vector<std::int64_t>{8, 8});
  runs[1].rungs.push_back({1, 8, 0.1, false});
  runs[2].failed = true;  // what it was given counts as spent
  next = next_rung(plan, runs);
  CHECK(runs_of(next) == std::vector<std::size_t>{1});
  CHECK(epochs_of(next) == std::vector<std::int64_t>{9});
  runs[1].rungs.push_back({2, 9, 0.1, false});
  CHECK(next_rung(plan, runs).runs.empty());
  // No run trains beyond its own limit.
  CHECK(epochs_of(next_rung({1000, false, 50}, std::vector<RunProgress>(2))) ==
        std::vector<std::int64_t>{50, 50});
}

TEST_CASE("rungs: a budget with halving gives every rung the same part", "[tune]") {
  const EpochPlan plan{96, true, 1000};
  // Four rungs (8, 4, 2, 1 runs) of 24 epochs.
  std::vector<double> quality = {1, 2, 3, 4, 5, 6, 7, 8};
  const Made made = train_all(plan, quality, std::vector<std::int64_t>(8, 1000), 1);
  CHECK(made.spent == 96);
  const std::vector<std::int64_t> epochs = {3, 3, 3, 3, 9, 9, 21, 45};
  for (std::size_t i = 0; i < 8; ++i) CHECK(made.runs[i].rungs.back().epochs_run == epochs[i]);
}

TEST_CASE("rungs: the same whatever ends first, never more than the budget, the best run furthest",
          "[tune]") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    RandomStream random(seed, 7);
    const std::size_t count = 1 + random.below(13);
    std::vector<double> quality(count);
    std::vector<std::int64_t> stops_at(count);
    for (double& value : quality) value = random.below(6);  // with ties
    for (std::int64_t& stop : stops_at) stop = 1 + random.below(60);
    const bool halving = random.below(2) == 0;
    EpochPlan plan{{}, halving, 40};
    if (!halving || random.below(2) == 0)
      plan.budget = static_cast<std::int64_t>(count * 5 * (1 + random.below(6)));
    INFO("seed " << seed);
    const Made first = train_all(plan, quality, stops_at, 100 + seed);
    const Made second = train_all(plan, quality, stops_at, 200 + seed);
    std::int64_t spent = 0;
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(first.runs[i].rungs == second.runs[i].rungs);
      CHECK(first.runs[i].rungs.back().epochs_run <= 40);
      spent += first.runs[i].rungs.back().epochs_run;
    }
    CHECK(first.spent == spent);
    if (plan.budget) CHECK(spent <= *plan.budget);
    const auto best =
        static_cast<std::size_t>(std::max_element(quality.begin(), quality.end()) - quality.begin());
    for (std::size_t i = 0; halving && stops_at[best] >= 40 && i < count; ++i)
      CHECK(first.runs[i].rungs.back().rung <= first.runs[best].rungs.back().rung);
  }
}
