#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace sea {

/// How a search shares epochs out among its runs. With neither, every run trains to its end.
struct EpochPlan {
  std::optional<std::int64_t> budget = {};  ///< epochs of all runs together
  bool halving = false;                     ///< only the better half goes on to the next rung
  std::int64_t epochs = 0;                  ///< of one run at most
  bool shares() const { return budget || halving; }
};

/// What a run had come to at the end of a rung.
struct RungResult {
  std::int64_t rung = 0;        ///< from 0
  std::int64_t epochs_run = 0;  ///< since its beginning
  double valid = 0.0;           ///< the metric that runs are compared by
  bool ended = false;           ///< more epochs would change nothing: it stopped early
  bool operator==(const RungResult&) const = default;
};

struct RungRun {
  std::size_t run = 0;
  std::int64_t epochs = 0;  ///< to train to, since its beginning
  bool operator==(const RungRun&) const = default;
};

/// Runs to be trained, each to its number of epochs, before anything else is decided.
struct Rung {
  std::int64_t number = 0;
  std::vector<RungRun> runs;  ///< empty: nothing is left to train
};

/// What is known of a run of a search.
struct RunProgress {
  std::vector<RungResult> rungs = {};  ///< ascending
  bool failed = false;                 ///< in the first rung that it has no result of
};

/// Rungs of a search of `runs` runs: ceil(log2 runs) + 1 with halving, so that the last has one run; else 1.
std::int64_t rung_count(const EpochPlan& plan, std::int64_t runs);

/// The runs that are to be trained next, given what has come of all of them: a function of nothing else, so
/// that neither the order in which runs end nor an interruption matters.
///
/// Rung k, from 0, of K = rung_count: with a budget every run that can go on gets floor(left / ((K - k)
/// runs)) epochs more, where left is the budget without what was spent in the rungs before; once K rungs are
/// done, what is left is shared out in further rungs, K - k taken as 1, while it gives each run an epoch.
/// Without a budget rung k trains to floor(epochs / 2^(K - 1 - k)) epochs. After each rung but the last, with
/// halving, the better half of its runs stays, rounded up, by `valid`; of equals the first. A run that has
/// stopped early stays or drops out by its metric like any other and costs nothing; one that failed drops
/// out, and what it was given counts as spent. Karnin, Koren and Somekh, "Almost optimal exploration in
/// multi-armed bandits" (ICML 2013); Jamieson and Talwalkar, "Non-stochastic best arm identification and
/// hyperparameter optimization" (AISTATS 2016).
Rung next_rung(const EpochPlan& plan, const std::vector<RunProgress>& runs);

}  // namespace sea
