#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/key.hpp"
#include "data/atomic_file.hpp"
#include "data/file_bytes.hpp"
#include "output.hpp"
#include "run_evaluation.hpp"
#include "sea/error.hpp"
#include "table_writer.hpp"
#include "tables.hpp"
#include "training/significance.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Tests whose corrected p is at most this are marked.
constexpr double significance_level = 0.05;

struct CompareOptions {
  std::vector<fs::path> runs;
  EvaluationOptions evaluation;
  std::string intervals = "1000";
  std::optional<fs::path> output;
};

/// One of what is compared: a run, or the runs of several seeds.
struct Side {
  fs::path folder;
  std::vector<fs::path> runs;
  UserMetrics table = {};  ///< means over the runs
};

/// A metric of one side against the reference.
struct Comparison {
  std::size_t side = 0;
  MetricName metric;
  double reference = 0.0, value = 0.0, difference = 0.0;
  Interval interval;
  SignedRank test;
  double corrected = 1.0;
};

void check(const CompareOptions& options) {
  if (options.runs.size() < 2)
    throw UsageError("RUN: at least two runs are compared; the first is what the others are held against");
  for (std::size_t i = 0; i < options.runs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::error_code ignored;
      if (fs::equivalent(options.runs[i], options.runs[j], ignored))
        throw UsageError(fmt::format("{}: is named twice", options.runs[i].string()));
    }
  }
  if (options.output) {
    const std::string end = to_lower(options.output->extension().string());
    if (end != ".json" && end != ".tsv")
      throw UsageError(fmt::format("--output {}: must end in .json or .tsv", options.output->string()));
  }
  options.evaluation.check();
  for (const std::size_t metric : options.evaluation.metric_list()) {
    if (metric < user_metrics) return;
  }
  throw UsageError(
      fmt::format("--metrics {}: a user has none of these, and users are what runs are compared by",
                  options.evaluation.metrics));
}

/// Throws Error where a run is of other data, or of another split of them, than the first.
void check_same_data(const RunData& first, const fs::path& first_name, const RunData& run,
                     const fs::path& name) {
  const auto refuse = [&](const char* what) {
    throw Error(fmt::format("{} and {}: are not runs on the same {}, so their users cannot be compared",
                            first_name.string(), name.string(), what));
  };
  if (first.description.interactions_fingerprint != run.description.interactions_fingerprint ||
      first.dataset.interactions_fingerprint != run.dataset.interactions_fingerprint)
    refuse("data");
  const std::string before = first.description.configuration.text("train_on"),
                    now = run.description.configuration.text("train_on");
  if (before != now) refuse(fmt::format("split (train_on is {} and {})", before, now).c_str());
}

/// The metrics of every user on each side. Throws Error where they cannot be compared.
std::vector<Side> evaluate_sides(const CompareOptions& options, Backend& backend) {
  EvaluationOptions asked = options.evaluation;
  std::vector<Side> sides;
  for (const fs::path& folder : options.runs) sides.push_back({folder, runs_of_seeds(folder)});
  std::optional<RunData> first;
  std::vector<std::int64_t> cutoffs;
  for (Side& side : sides) {
    for (const fs::path& name : side.runs) {
      const RunData run = load_run(name, asked.data, asked.file(name));
      if (!first) cutoffs = asked.cutoffs(run.description.configuration);
      if (first) check_same_data(*first, sides.front().runs.front(), run, name);
      UserMetrics table = evaluate_run(backend, run, name, asked, cutoffs, {}).metrics.front().by_user;
      if (side.table.users.empty()) {
        side.table = std::move(table);
      } else {
        for (std::size_t i = 0; i < table.values.size(); ++i) side.table.values[i] += table.values[i];
      }
      if (!first) first = run;
    }
    for (double& value : side.table.values) value /= static_cast<double>(side.runs.size());
  }
  return sides;
}

std::vector<Comparison> compare(const std::vector<Side>& sides, std::int64_t resamples, std::uint64_t seed) {
  const UserMetrics& reference = sides.front().table;
  const auto columns = static_cast<std::size_t>(reference.columns());
  std::vector<Comparison> comparisons;
  for (std::size_t side = 1; side < sides.size(); ++side) {
    UserMetrics differences = sides[side].table;
    for (std::size_t i = 0; i < differences.values.size(); ++i) differences.values[i] -= reference.values[i];
    const std::vector<Interval> intervals =
        bootstrap_intervals(differences.values, differences.rows(), differences.columns(), resamples, seed);
    const std::vector<double> before = reference.means(), now = sides[side].table.means(),
                              change = differences.means();
    for (std::size_t i = 0; i < columns; ++i) {
      std::vector<double> column;
      for (std::size_t at = i; at < differences.values.size(); at += columns)
        column.push_back(differences.values[at]);
      comparisons.push_back(
          {side, reference.names[i], before[i], now[i], change[i], intervals[i], signed_rank_test(column)});
    }
  }
  std::vector<double> p;
  for (const Comparison& comparison : comparisons) p.push_back(comparison.test.p);
  const std::vector<double> corrected = holm(p);
  for (std::size_t i = 0; i < comparisons.size(); ++i) comparisons[i].corrected = corrected[i];
  return comparisons;
}

std::string with_sign(double value) {
  return (value < 0.0 ? "" : "+") + figure(value);
}

/// "RUN against REFERENCE" and a line a metric, for each run.
std::string comparison_tables(const std::vector<Side>& sides, const std::vector<Comparison>& comparisons,
                              const EvaluationOptions& asked) {
  const auto name_of = [](const Side& side) {
    return side.runs.size() == 1
               ? side.folder.string()
               : fmt::format("{} (mean of {} seeds)", side.folder.string(), side.runs.size());
  };
  std::string text = fmt::format("reference: {}\n{} of the {} split, {}\n", name_of(sides[0]),
                                 counted(sides[0].table.rows(), "user"), asked.split,
                                 counted(static_cast<std::int64_t>(comparisons.size()), "test"));
  for (std::size_t side = 1; side < sides.size(); ++side) {
    std::vector<std::vector<std::string>> lines = {
        {"", "reference", "run", "difference", "95 % interval", "p", "p (Holm)", ""}};
    for (const Comparison& c : comparisons) {
      if (c.side != side) continue;
      lines.push_back({c.metric.title(), figure(c.reference), figure(c.value), with_sign(c.difference),
                       fmt::format("[{}, {}]", with_sign(c.interval.low), with_sign(c.interval.high)),
                       fmt::format("{:.2g}", c.test.p), fmt::format("{:.2g}", c.corrected),
                       c.corrected <= significance_level ? "*" : ""});
    }
    text += fmt::format("\n{}\n{}", name_of(sides[side]), text_table(lines));
  }
  return text;
}

Json side_json(const Side& side) {
  Json json;
  json["run"] = fs::canonical(side.folder).string();
  for (const fs::path& run : side.runs) json["runs"].push_back(fs::canonical(run).string());
  return json;
}

Json comparisons_json(const std::vector<Side>& sides, const std::vector<Comparison>& comparisons,
                      const EvaluationOptions& asked, std::int64_t resamples) {
  Json json;
  json["checkpoint"] = asked.checkpoint;
  json["split"] = asked.split;
  json["warm_items"] = asked.warm_items;
  json["mask_validation"] = asked.mask_validation;
  json["users"] = sides[0].table.rows();
  json["tests"] = comparisons.size();
  json["bootstrap"] = {{"resamples", resamples}, {"seed", resampling_seed(asked)}, {"level", confidence}};
  json["reference"] = side_json(sides[0]);
  for (std::size_t side = 1; side < sides.size(); ++side)
    json["comparisons"].push_back(side_json(sides[side]));
  for (const Comparison& c : comparisons) {
    json["comparisons"][c.side - 1]["metrics"][c.metric.key()] = {
        {"reference", c.reference},
        {"value", c.value},
        {"difference", c.difference},
        {"interval", {c.interval.low, c.interval.high}},
        {"statistic", c.test.statistic},
        {"pairs", c.test.pairs},
        {"p", c.test.p},
        {"p_holm", c.corrected}};
  }
  return json;
}

std::string comparisons_tsv(const std::vector<Side>& sides, const std::vector<Comparison>& comparisons) {
  std::string text = "run\tmetric\treference\tvalue\tdifference\tlow\thigh\tstatistic\tpairs\tp\tp_holm\n";
  for (const Comparison& c : comparisons) {
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
                        tsv_field(fs::canonical(sides[c.side].folder).string()), c.metric.key(), c.reference,
                        c.value, c.difference, c.interval.low, c.interval.high, c.test.statistic,
                        c.test.pairs, c.test.p, c.corrected);
  }
  return text;
}

void run_compare(const CompareOptions& options) {
  check(options);
  const EvaluationOptions& asked = options.evaluation;
  const std::int64_t resamples =
      parse_option("--intervals", options.intervals, fewest_resamples, most_resamples);
  const Device device = open_device_of(asked.device, asked.threads);
  const std::vector<Side> sides = evaluate_sides(options, *device.backend);
  const std::vector<Comparison> comparisons = compare(sides, resamples, resampling_seed(asked));
  if (options.output) {
    const bool json = to_lower(options.output->extension().string()) == ".json";
    write_atomically(*options.output, [&](std::ostream& out) {
      if (json) {
        out << comparisons_json(sides, comparisons, asked, resamples).dump(2) << '\n';
      } else {
        out << comparisons_tsv(sides, comparisons);
      }
    });
  }
  print_result("{}", comparison_tables(sides, comparisons, asked));
}

}  // namespace

void add_compare(CLI::App& app) {
  auto options = std::make_shared<CompareOptions>();
  Command command(app, "compare", "differences of trained runs, user by user");
  command.option("RUN", options->runs, "folders of runs, or of several seeds; the first is the reference")
      .required();
  add_evaluation_options(command, options->evaluation);
  command.option("--intervals", options->intervals,
                 "resamples of the users for the bootstrap intervals (default: 1000)");
  command.option("--output", options->output, "file that ends in .json or .tsv, to write as well");
  command.run([options] { run_compare(*options); });
}

}  // namespace sea
