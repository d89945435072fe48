#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configuration/search_space.hpp"
#include "training/run_result.hpp"
#include "training/rungs.hpp"

namespace sea {

/// A combination of a search: a run, and what has come of it.
struct SearchRow {
  std::string run;               ///< name of its folder in that of the search
  std::vector<KeyValue> values;  ///< parallel to the axes of the space
  RunDescription description;
  std::optional<RunResult> result;
  std::string error;                   ///< why there is no result, where it was tried
  std::vector<RungResult> rungs = {};  ///< of a search that shares epochs out
};

/// How a search chooses its rows, and shares epochs out among them.
struct SearchPlan {
  std::optional<std::int64_t> random = {};  ///< so many drawn combinations in place of all
  std::uint64_t seed = 999;                 ///< of the draws
  std::optional<std::int64_t> budget = {};
  bool halving = false;
};

/// What tune.json says.
struct Search {
  SearchSpace space;
  SearchPlan plan;
  std::vector<SearchRow> rows;

  const Configuration& configuration() const { return rows.front().description.configuration; }
  /// Key of the metric that the rows are compared by: "recall@20".
  std::string valid_metric() const;
  /// The rows, best on validation first; of equals the first row. Those without a result come last.
  std::vector<const SearchRow*> ranking() const;
  std::size_t finished() const;
  std::size_t failed() const;

  EpochPlan epoch_plan() const;
  /// The rows to train next; see next_rung.
  Rung next() const;
};

/// "alpha=0.1 align=none"
std::string values_text(const Search& search, const SearchRow& row);
/// The command, for a shell, that trains the row again.
std::string command_of(const SearchRow& row, const std::string& data);

/// `folder`/tune.json
std::filesystem::path search_file(const std::filesystem::path& folder);

/// Writes tune.json, whole or not at all.
void write_search(const std::filesystem::path& folder, const Search& search);

/// The space, the plan and the rows' descriptions of a search that was begun; results are read from the runs.
/// Throws Error where `folder` has no search, or a damaged one.
Search read_search(const std::filesystem::path& folder);

/// A line per row, best first and marked, with validation metric, test metrics and seconds.
std::string search_table(const Search& search);

}  // namespace sea
