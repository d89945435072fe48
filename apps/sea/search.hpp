#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configuration/grid.hpp"
#include "training/run_result.hpp"

namespace sea {

/// A combination of a search: a run, and what has come of it.
struct SearchRow {
  std::string run;               ///< name of its folder in that of the search
  std::vector<KeyValue> values;  ///< parallel to the grid's axes
  RunDescription description;
  std::optional<RunResult> result;
  std::string error;  ///< why there is no result, where it was tried
};

/// What tune.json says.
struct Search {
  Grid grid;
  std::vector<SearchRow> rows;

  const Configuration& configuration() const { return rows.front().description.configuration; }
  /// Key of the metric that the rows are compared by: "recall@20".
  std::string valid_metric() const;
  /// The rows, best on validation first; of equals the first of the grid. Those without a result come last.
  std::vector<const SearchRow*> ranking() const;
  std::size_t finished() const;
  std::size_t failed() const;
};

/// "alpha=0.1 align=none"
std::string values_text(const Search& search, const SearchRow& row);
/// The command, for a shell, that trains the row again.
std::string command_of(const SearchRow& row, const std::string& data);

/// `folder`/tune.json
std::filesystem::path search_file(const std::filesystem::path& folder);

/// Writes tune.json, whole or not at all.
void write_search(const std::filesystem::path& folder, const Search& search);

/// The grid and the rows' descriptions of a search that was begun; results are read from the runs. Throws
/// Error where `folder` has no search, or a damaged one.
Search read_search(const std::filesystem::path& folder);

/// A line per row, best first and marked, with validation metric, test metrics and seconds.
std::string search_table(const Search& search);

}  // namespace sea
