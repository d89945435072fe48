#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/key.hpp"
#include "data/atomic_file.hpp"
#include "data/file_bytes.hpp"
#include "data/npy.hpp"
#include "output.hpp"
#include "run_evaluation.hpp"
#include "sea/error.hpp"
#include "table_writer.hpp"
#include "tables.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct EvaluateOptions {
  fs::path run;
  EvaluationOptions evaluation;
  std::optional<std::string> groups, intervals;
  std::optional<fs::path> output, per_user;
};

std::string ending(const fs::path& file) {
  return to_lower(file.extension().string());
}

std::vector<std::string> kinds_of(const std::optional<std::string>& text) {
  if (!text) return {};
  const std::string lower = to_lower(*text);
  if (lower == "all") return {group_kinds.begin(), group_kinds.end()};
  std::vector<std::string> kinds;
  for (const std::string& kind : split_at_commas(lower)) {
    if (std::find(group_kinds.begin(), group_kinds.end(), kind) == group_kinds.end()) {
      throw UsageError(fmt::format("--groups {}: there are no groups by '{}'; there are {}, and all", *text,
                                   printable(kind), fmt::join(group_kinds, ", ")));
    }
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end())
      throw UsageError(fmt::format("--groups {}: {} stands twice", *text, kind));
    kinds.push_back(kind);
  }
  return kinds;
}

void check(const EvaluateOptions& options) {
  if (options.output && ending(*options.output) != ".json")
    throw UsageError(fmt::format("--output {}: must end in .json", options.output->string()));
  options.evaluation.check();
  if (!options.per_user) return;
  const std::string name = fmt::format("--per-user {}", options.per_user->string());
  if (ending(*options.per_user) != ".tsv" && ending(*options.per_user) != ".npz")
    throw UsageError(fmt::format("{}: must end in .tsv or .npz", name));
  if (options.evaluation.metric_list().front() >= user_metrics)
    throw UsageError(fmt::format("{}: a user has no {}, and --metrics names no other metric", name,
                                 metric_titles[options.evaluation.metric_list().front()]));
}

MetricIntervals intervals_of(const UserMetrics& table, std::int64_t resamples, std::uint64_t seed) {
  const std::vector<Interval> intervals =
      resamples == 0 ? std::vector<Interval>()
                     : bootstrap_intervals(table.values, table.rows(), table.columns(), resamples, seed);
  MetricIntervals named;
  for (std::size_t i = 0; i < intervals.size(); ++i) named.emplace_back(table.names[i].key(), intervals[i]);
  return named;
}

Json to_json(const MetricIntervals& intervals) {
  Json json = Json::object();
  for (const auto& [name, interval] : intervals) json[name] = {interval.low, interval.high};
  return json;
}

/// A line a user: userID, each metric, and the original id where there is one.
void write_users(const fs::path& file, const UserMetrics& table, const std::vector<std::string>& names) {
  const auto columns = static_cast<std::size_t>(table.columns());
  if (ending(file) == ".tsv") {
    write_atomically(file, [&](std::ostream& out) {
      out << "userID";
      for (const MetricName& name : table.names) out << '\t' << name.key();
      out << (names.empty() ? "\n" : "\tuser\n");
      for (std::size_t row = 0; row < table.users.size(); ++row) {
        std::string line = std::to_string(table.users[row]);
        for (std::size_t i = 0; i < columns; ++i)
          line += fmt::format("\t{}", table.values[row * columns + i]);
        if (!names.empty()) line += '\t' + tsv_field(names[static_cast<std::size_t>(table.users[row])]);
        out << line << '\n';
      }
    });
    return;
  }
  const std::vector<std::int64_t> users(table.users.begin(), table.users.end());
  std::vector<std::vector<double>> values(columns);
  for (std::size_t i = 0; i < table.values.size(); ++i) values[i % columns].push_back(table.values[i]);
  std::vector<NpzArray> arrays = {{"userID", "<i8", {table.rows()}, users.data()}};
  for (std::size_t i = 0; i < columns; ++i)
    arrays.push_back({table.names[i].key(), "<f8", {table.rows()}, values[i].data()});
  const ByteStrings ids(names, names.empty() ? std::vector<std::int64_t>() : users);
  if (!names.empty()) arrays.push_back({"user", ids.type(), {table.rows()}, ids.bytes.data()});
  write_npz(file, arrays);
}

Json group_json(const EvaluationGroup& group, const GroupMetrics& found, const MetricIntervals& intervals,
                std::int64_t resamples) {
  Json json;
  json["group"] = group.name;
  json["by"] = group.by;
  json["items"] = found.items;
  json["users"] = found.by_user.rows();
  json["pairs"] = found.pairs;
  json["training_pairs"] = {group.fewest_pairs, group.most_pairs};
  json["metrics"] = to_json(found.metrics);
  if (resamples > 0) json["intervals"] = to_json(intervals);
  return json;
}

void run_evaluate(const EvaluateOptions& options) {
  check(options);
  const std::vector<std::string> kinds = kinds_of(options.groups);
  const std::int64_t resamples =
      options.intervals ? parse_option("--intervals", *options.intervals, fewest_resamples, most_resamples)
                        : 0;
  const EvaluationOptions& asked = options.evaluation;
  const Device device = open_device_of(asked.device, asked.threads);
  const RunData run = load_run(options.run, asked.data, asked.file(options.run));
  const std::vector<std::int64_t> cutoffs = asked.cutoffs(run.description.configuration);
  const RunEvaluation found = evaluate_run(*device.backend, run, options.run, asked, cutoffs, kinds);

  std::vector<MetricIntervals> intervals;
  for (const GroupMetrics& group : found.metrics)
    intervals.push_back(intervals_of(group.by_user, resamples, resampling_seed(asked)));
  const Metrics& metrics = found.metrics.front().metrics;
  std::vector<GroupLine> lines;
  for (std::size_t i = 1; i < found.groups.size(); ++i)
    lines.push_back({found.groups[i].name, found.metrics[i].metrics, intervals[i]});
  if (options.output) {
    Json json;
    json["run"] = fs::canonical(options.run).string();
    json["checkpoint"] = asked.checkpoint;
    json["split"] = asked.split;
    json["warm_items"] = asked.warm_items;
    json["mask_validation"] = asked.mask_validation;
    json["users"] = metrics.users;
    json["metrics"] = to_json(metrics);
    if (resamples > 0) {
      json["bootstrap"] = {{"resamples", resamples}, {"seed", resampling_seed(asked)}, {"level", confidence}};
      json["intervals"] = to_json(intervals.front());
    }
    for (std::size_t i = 1; i < found.groups.size(); ++i)
      json["groups"].push_back(group_json(found.groups[i], found.metrics[i], intervals[i], resamples));
    write_atomically(*options.output, [&](std::ostream& out) { out << json.dump(2) << '\n'; });
  }
  if (options.per_user) write_users(*options.per_user, found.metrics.front().by_user, run.dataset.user_names);
  print_result("{}", metrics_table({{asked.split, metrics}}, intervals.front()));
  if (lines.empty()) return;
  // All cut-offs would be pages; the file has them.
  const std::int64_t followed = parse_metric(run.description.configuration.text("valid_metric"))->cutoff;
  const bool is_there = std::find(cutoffs.begin(), cutoffs.end(), followed) != cutoffs.end();
  print_result("\n{}", group_table(lines, is_there ? followed : cutoffs.back()));
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto options = std::make_shared<EvaluateOptions>();
  Command command(app, "evaluate", "metrics of a trained run");
  command.option("RUN", options->run, "folder of the run").required();
  add_evaluation_options(command, options->evaluation);
  command.option("--groups", options->groups,
                 "also by groups: popularity (fifths of the items), cold (items), history (of users), "
                 "or all");
  command.option("--intervals", options->intervals,
                 "bootstrap intervals (95 %) of so many resamples of the users, as in 1000");
  command.option("--output", options->output, "file that ends in .json, to write as well");
  command.option("--per-user", options->per_user,
                 "file that ends in .tsv or .npz, with every user's metrics");
  command.run([options] { run_evaluate(*options); });
}

}  // namespace sea
