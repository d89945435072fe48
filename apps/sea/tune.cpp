#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/registry.hpp"
#include "data/dataset.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "run_data.hpp"
#include "scheduler.hpp"
#include "sea/error.hpp"
#include "search.hpp"
#include "training/device.hpp"
#include "training/signals.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct TuneOptions {
  fs::path data;
  ConfigurationRequest request;
  std::vector<std::string> grid, ranges;
  std::optional<std::string> random, search_seed, budget;
  bool halving = false;
  std::string jobs = "1";
  std::optional<fs::path> output;
  bool resume = false, quiet = false;
};

/// What a search that is there already may be gone on with.
const std::vector<std::string> may_change = {"device", "threads"};

ConfigurationRequest request_of(const ConfigurationRequest& request, const SearchSpace& space,
                                const std::vector<KeyValue>& values) {
  ConfigurationRequest combined = request;
  for (std::size_t i = 0; i < values.size(); ++i)
    combined.assignments.push_back(fmt::format("{}={}", space.axes()[i].key, to_text(values[i])));
  return combined;
}

/// A key that is searched and also set on the command line would silently lose one of the two values.
void check_set_once(const SearchSpace& space, const ConfigurationRequest& request) {
  const auto check = [&](const std::string& name, const std::string& source) {
    for (const SearchSpace::Axis& axis : space.axes()) {
      if (axis.key == name)
        throw UsageError(
            fmt::format("{}: {} is in {} too", source, name, axis.range ? "a --range" : "the grid"));
    }
  };
  for (const std::string& assignment : request.assignments)
    check(assignment.substr(0, assignment.find('=')), fmt::format("--set {}", assignment));
  if (request.model) {
    const ModelChoice choice = find_model(*request.model, "--model");
    if (choice.preset != nullptr) {
      for (const auto& [name, value] : choice.preset->values)
        check(name, fmt::format("--model {}", choice.preset->name));
    }
  }
  if (request.seed) check("seed", fmt::format("--seed {}", *request.seed));
  if (request.epochs) check("epochs", fmt::format("--epochs {}", *request.epochs));
}

/// What the options say of it; an option that is not there leaves `plan` as it is.
SearchPlan plan_of(const TuneOptions& options, SearchPlan plan) {
  constexpr std::int64_t most = 1'000'000'000;
  if (options.random) plan.random = parse_option("--random", *options.random, 1, most_combinations);
  if (options.search_seed)
    plan.seed = static_cast<std::uint64_t>(
        parse_option("--search-seed", *options.search_seed, 0, std::numeric_limits<std::int64_t>::max()));
  if (options.budget) plan.budget = parse_option("--budget", *options.budget, 1, most);
  plan.halving = plan.halving || options.halving;
  return plan;
}

/// Which values are searched, and how: what of it can be said before any combination is made.
void check_plan(const SearchSpace& space, const SearchPlan& plan, const TuneOptions& options) {
  if (space.axes().empty()) {
    throw UsageError(
        "--grid is missing; it names the keys to search, as in --grid key=v1,v2 (or --range key=low:high "
        "with "
        "--random)");
  }
  if (options.search_seed && !plan.random) throw UsageError("--search-seed: goes with --random alone");
  if (!plan.random && space.has_ranges())
    throw UsageError(
        fmt::format("--range {}: a range is drawn from; --random N says how often", options.ranges.front()));
  const std::optional<std::int64_t> size = space.size();
  if (!plan.random && (!size || *size > most_combinations))
    throw UsageError(fmt::format("--grid: there are more than {} combinations", most_combinations));
  for (const SearchSpace::Axis& axis : space.axes()) {
    if (axis.key == "epochs" && (plan.budget || plan.halving))
      throw UsageError(fmt::format("{}: shares epochs out; epochs cannot be searched",
                                   plan.budget ? "--budget" : "--halving"));
  }
}

/// The first rung must let every run be evaluated once.
void check_shares(const Search& search) {
  const EpochPlan plan = search.epoch_plan();
  if (!plan.shares()) return;
  const auto runs = static_cast<std::int64_t>(search.rows.size());
  if (plan.halving && runs < 2) throw UsageError("--halving: there is one run; it takes two");
  if (!plan.budget && !search.configuration().is_set("epochs")) {
    throw UsageError(
        "--halving: needs --budget, the epochs of all runs, or --epochs, those of the run that gets "
        "furthest");
  }
  std::int64_t step = 1;
  for (const SearchRow& row : search.rows)
    step = std::max(step, row.description.configuration.integer("eval_step"));
  const std::int64_t rungs = rung_count(plan, runs);
  if (plan.budget && *plan.budget / (rungs * runs) < step) {
    throw UsageError(fmt::format("--budget {}: is too small for {} runs in {} {}; it takes at least {}",
                                 *plan.budget, runs, rungs, rungs == 1 ? "rung" : "rungs",
                                 rungs * runs * step));
  }
  if (!plan.budget && plan.epochs >> (rungs - 1) < step) {
    throw UsageError(fmt::format("--halving: {} epochs are too few for {} rungs; it takes at least {}",
                                 plan.epochs, rungs, step << (rungs - 1)));
  }
}

/// The combinations of a search, each resolved and so checked; what describes the data is still empty.
Search new_search(const TuneOptions& options) {
  Search search{
      SearchSpace(options.grid, options.ranges, model_of(options.request)), plan_of(options, {}), {}};
  check_plan(search.space, search.plan, options);
  check_set_once(search.space, options.request);
  std::vector<std::vector<KeyValue>> combinations;
  if (search.plan.random) {
    combinations = search.space.draw(*search.plan.random, search.plan.seed);
  } else {
    for (std::int64_t i = 0; i < *search.space.size(); ++i)
      combinations.push_back(search.space.combination(i));
  }
  const std::size_t digits = std::to_string(combinations.size()).size();
  for (const std::vector<KeyValue>& values : combinations) {
    search.rows.push_back(
        {fmt::format("{:0{}}", search.rows.size() + 1, digits),
         values,
         {resolve_configuration(request_of(options.request, search.space, values)), {}, {}, {}},
         std::nullopt,
         {}});
  }
  check_shares(search);
  return search;
}

/// Throws UsageError where the options ask for another plan than the one that the search was begun with.
void check_same_plan(const SearchPlan& before, const TuneOptions& options, const fs::path& folder) {
  const SearchPlan now = plan_of(options, before);
  const auto check = [&](const char* name, const std::optional<std::int64_t>& was,
                         const std::optional<std::int64_t>& is) {
    if (was != is)
      throw UsageError(fmt::format("--resume: {} was {} in {} and would be {}; name another --output", name,
                                   was ? std::to_string(*was) : "not there", folder.string(), *is));
  };
  check("--random", before.random, now.random);
  check("--search-seed", static_cast<std::int64_t>(before.seed), static_cast<std::int64_t>(now.seed));
  check("--budget", before.budget, now.budget);
  if (before.halving != now.halving) {
    throw UsageError(fmt::format("--resume: the search in {} is without --halving; name another --output",
                                 folder.string()));
  }
}

/// A search that is gone on with: what the command line says must be what it was begun with.
Search resumed_search(const TuneOptions& options, const fs::path& folder) {
  Search search = read_search(folder);
  if (!options.grid.empty() || !options.ranges.empty()) {
    const SearchSpace now(options.grid, options.ranges, search.configuration().model());
    if (now != search.space) {
      throw UsageError(fmt::format("--resume: the grid was {} in {} and would be {}; name another --output",
                                   to_text(search.space), folder.string(), to_text(now)));
    }
  }
  check_same_plan(search.plan, options, folder);
  check_set_once(search.space, options.request);
  for (SearchRow& row : search.rows) {
    row.description.configuration =
        resume_configuration(request_of(options.request, search.space, row.values),
                             row.description.configuration, folder, may_change);
  }
  return search;
}

/// Reads and checks the data once for every choice of feature files, and notes in the rows what they are.
/// Throws Error where they are not those that the search was begun with. Returns what deserves a sentence.
std::set<std::string> check_data(const fs::path& data, Search& search) {
  std::set<std::string> notices;
  std::map<std::tuple<std::string, std::string, TrainOn>, Dataset> seen;
  for (SearchRow& row : search.rows) {
    RunDescription& description = row.description;
    const DatasetFiles files = dataset_files(description.configuration);
    auto [place, added] = seen.try_emplace(
        {files.vision_feature_file.value_or(""), files.text_feature_file.value_or(""), files.train_on});
    Dataset& dataset = place->second;
    if (added) {
      dataset = load_training_data(data, description.configuration);
      if (dataset.valid.nonzeros() == 0)
        throw Error(fmt::format("{}: has no validation pairs, by which a search compares its runs{}",
                                data.string(),
                                files.train_on == TrainOn::train ? "" : ": train_on must be train"));
      dataset.features.clear();  // they have been read and checked; each run reads its own
      notices.insert(dataset.notices.begin(), dataset.notices.end());
    }
    if (!description.fingerprint.empty() && description.fingerprint != dataset.fingerprint)
      throw Error(fmt::format("--resume: {} is not the data that the search was begun on", data.string()));
    description.data = fs::canonical(data);
    description.fingerprint = dataset.fingerprint;
    description.interactions_fingerprint = dataset.interactions_fingerprint;
    description.ids_fingerprint = dataset.ids_fingerprint;
  }
  return notices;
}

/// Throws Error where `folder` is there and not one that this command may work in. Whether it has a search.
bool has_search(const fs::path& folder, bool resume) {
  if (is_free(folder)) return false;
  if (!resume) {
    throw Error(
        fs::exists(search_file(folder))
            ? fmt::format("{}: is there already; go on with it by --resume, or name another --output",
                          folder.string())
            : fmt::format("{}: is there already and not empty; name another --output", folder.string()));
  }
  return true;
}

void run_tune(const TuneOptions& options) {
  SignalGuard signals;
  if (options.request.seed && options.request.seed->find(',') != std::string::npos) {
    throw UsageError(
        fmt::format("--seed {0}: a search has one seed; --grid seed={0} makes it a key of the grid",
                    *options.request.seed));
  }
  const std::int64_t jobs = parse_option("--jobs", options.jobs, 1, 1024);
  const fs::path folder =
      options.output.value_or(default_folder(options.data, model_of(options.request).name, "tune"));
  const bool goes_on = has_search(folder, options.resume);
  Search search = goes_on ? resumed_search(options, folder) : new_search(options);
  const std::string device = search.configuration().text("device");
  require_device(device);  // one that is not there is missed now, not in every run
  const std::set<std::string> notices = check_data(options.data, search);

  for (SearchRow& row : search.rows) {
    row.result = read_result(folder / row.run);
    if (row.result && row.result->description.identity() != row.description.identity()) {
      row.result.reset();
      row.rungs.clear();
    }
  }
  signals.defer();
  const SearchFolder place(folder, search);
  if (!options.quiet) {
    if (options.resume && !goes_on)
      print_notice(fmt::format("{}: there is no search yet; it starts now", folder.string()));
    for (const std::string& text : notices) print_notice(text);
    write_stderr(fmt::format("{} combinations, {} finished\n", search.rows.size(), search.finished()));
  }
  if (!Scheduler(options.data, search, place, jobs, options.quiet).run()) {
    if (!options.quiet) {
      print_notice(fmt::format("stopped with {} of {} combinations finished; go on with: {}",
                               search.finished(), search.rows.size(),
                               shell_command({"tune", options.data, "--resume", "--output", folder})));
    }
    throw ExitCode{128 + SignalGuard::received()};
  }
  print_result("{}", search_table(search));
  if (search.finished() > 0)
    print_result("{}\n", command_of(*search.ranking().front(), options.data.string()));
  if (search.failed() > 0) {
    flush_stdout();
    throw Error(fmt::format("{} of {} combinations failed; --resume tries them again", search.failed(),
                            search.rows.size()));
  }
}

}  // namespace

void add_tune(CLI::App& app) {
  auto options = std::make_shared<TuneOptions>();
  Command command(app, "tune", "train combinations of settings, all of a grid or drawn ones");
  const auto add_list = [&](const char* name, std::vector<std::string>& list, const char* meaning) {
    command.option(name, list, meaning).repeated();
  };
  command.option("DATA", options->data, "folder of the data set").required();
  add_list("--grid", options->grid, "key=value,value,... as often as there are keys to search");
  add_list("--range", options->ranges, "key=low:high or key=low:high:log, to draw from with --random");
  command.option("--random", options->random, "so many combinations, drawn, in place of all");
  command.option("--search-seed", options->search_seed, "of the draws (default: 999)");
  command.option("--budget", options->budget, "epochs of all runs together");
  command.flag("--halving", options->halving, "train all a little, the better half further, and so on");
  command.option("--model", options->request.model, "see sea models (default: sea)");
  command.option("--config", options->request.config, "JSON file of configuration keys, comments allowed");
  add_list("--set", options->request.assignments, "key=value of all runs, as often as there are keys to set");
  command.option("--jobs", options->jobs, "runs at a time (default: 1)");
  command.option("--device", options->request.device, "auto, cpu, cuda or cuda:N");
  command.option("--threads", options->request.threads, "of the processor, for all runs; 0 takes all");
  command.option("--output", options->output, "folder of the search (default: runs/DATA-MODEL-tune)");
  command.option("--seed", options->request.seed, "of every run");
  command.option("--epochs", options->request.epochs, "of a run at most");
  command.flag("--resume", options->resume, "go on with a search that was interrupted");
  command.flag("--quiet", options->quiet, "no progress, no notices");
  command.run([options] { run_tune(*options); });
}

}  // namespace sea
