#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "run_data.hpp"
#include "sea/backend.hpp"
#include "training/group_evaluation.hpp"

namespace sea {

/// What is evaluated of a run: the options that commands share which rank with one.
struct EvaluationOptions {
  std::string split = "test", checkpoint = "best", device = "auto", threads = "0", seed = "999";
  std::string metrics = "all";
  std::optional<std::string> top_k;
  std::optional<std::filesystem::path> data;
  bool warm_items = false, mask_validation = false;

  /// Throws UsageError where options do not go together.
  void check() const;
  /// Those of --top-k, else those of the run.
  std::vector<std::int64_t> cutoffs(const Configuration& configuration) const;
  /// Places in `metric_titles`.
  std::vector<std::size_t> metric_list() const;
  /// The file of the run that holds the representations.
  std::filesystem::path file(const std::filesystem::path& run) const;
};

void add_evaluation_options(Command& command, EvaluationOptions& options);

/// How many resamples an interval may ask for.
inline constexpr std::int64_t fewest_resamples = 100, most_resamples = 100'000;

/// The seed of resampling that --seed asks for.
std::uint64_t resampling_seed(const EvaluationOptions& options);

/// The groups that were evaluated, everybody first, and what came of each.
struct RunEvaluation {
  std::vector<EvaluationGroup> groups;
  std::vector<GroupMetrics> metrics;
};

/// Ranks all users of the split from the representations of `run`, whose folder is `name`. `kinds`: of
/// groups, beside everybody.
RunEvaluation evaluate_run(Backend& backend, const RunData& run, const std::filesystem::path& name,
                           const EvaluationOptions& options, const std::vector<std::int64_t>& cutoffs,
                           const std::vector<std::string>& kinds);

}  // namespace sea
