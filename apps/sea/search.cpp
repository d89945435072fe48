#include "search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "configuration/registry.hpp"
#include "output.hpp"
#include "sea/error.hpp"
#include "sea/version.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What the row's run says in a file: "waiting" until it is done, whether it has begun or not.
const char* state_of(const SearchRow& row) {
  return row.result ? "finished" : row.error.empty() ? "waiting" : "failed";
}

Json values_json(const Search& search, const SearchRow& row) {
  Json json;
  for (std::size_t i = 0; i < row.values.size(); ++i)
    json[search.space.axes()[i].key] = to_json(row.values[i]);
  return json;
}

Json row_json(const Search& search, const SearchRow& row) {
  Json json;
  json["run"] = row.run;
  json["values"] = values_json(search, row);
  json["state"] = state_of(row);
  if (row.result) {
    const Json result = to_json(*row.result);
    for (const char* key : {"best_epoch", "epochs_run", "stopped_by", "valid", "test", "total_seconds"}) {
      if (result.contains(key)) json[key] = result[key];
    }
  } else if (!row.error.empty()) {
    json["error"] = row.error;
  }
  for (const RungResult& rung : row.rungs) {
    json["rungs"].push_back(
        {{"rung", rung.rung}, {"epochs_run", rung.epochs_run}, {"valid", rung.valid}, {"ended", rung.ended}});
  }
  json["config"] = to_json(row.description);
  return json;
}

std::vector<RungResult> rungs_of(const Json& row) {
  std::vector<RungResult> rungs;
  if (!row.contains("rungs")) return rungs;
  for (const Json& rung : row.at("rungs"))
    rungs.push_back({rung.at("rung").get<std::int64_t>(), rung.at("epochs_run").get<std::int64_t>(),
                     rung.at("valid").get<double>(), rung.at("ended").get<bool>()});
  return rungs;
}

Json plan_json(const SearchPlan& plan) {
  Json json = Json::object();
  if (plan.random) json["random"] = *plan.random;
  if (plan.random) json["search_seed"] = plan.seed;
  if (plan.budget) json["budget"] = *plan.budget;
  if (plan.halving) json["halving"] = true;
  return json;
}

SearchPlan plan_of(const Json& json) {
  SearchPlan plan;
  if (json.contains("random")) plan.random = json.at("random").get<std::int64_t>();
  if (json.contains("search_seed")) plan.seed = json.at("search_seed").get<std::uint64_t>();
  if (json.contains("budget")) plan.budget = json.at("budget").get<std::int64_t>();
  if (json.contains("halving")) plan.halving = json.at("halving").get<bool>();
  return plan;
}

/// "Recall@10", "NDCG@10", ... of the cut-offs 10 and 20, or of all where neither was asked for.
std::vector<MetricName> test_columns(const Configuration& configuration) {
  const std::vector<std::int64_t> computed = metric_cutoffs(configuration);
  std::vector<std::int64_t> shown;
  std::copy_if(computed.begin(), computed.end(), std::back_inserter(shown),
               [](std::int64_t cutoff) { return cutoff == 10 || cutoff == 20; });
  if (shown.empty()) shown = computed;
  std::vector<MetricName> columns;
  for (const std::size_t metric : {0, 1}) {  // Recall and NDCG
    for (const std::int64_t cutoff : shown) columns.push_back({metric, cutoff});
  }
  return columns;
}

}  // namespace

std::string Search::valid_metric() const {
  return parse_metric(configuration().text("valid_metric"))->key();
}

std::vector<const SearchRow*> Search::ranking() const {
  const std::string metric = valid_metric();
  std::vector<const SearchRow*> ranked;
  for (const SearchRow& row : rows) ranked.push_back(&row);
  std::stable_sort(ranked.begin(), ranked.end(), [&](const SearchRow* a, const SearchRow* b) {
    if (!a->result || !b->result) return a->result.has_value() && !b->result.has_value();
    return a->result->training.valid.at(metric) > b->result->training.valid.at(metric);
  });
  return ranked;
}

std::size_t Search::finished() const {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [](const SearchRow& row) { return row.result.has_value(); }));
}

std::size_t Search::failed() const {
  return static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [](const SearchRow& row) { return !row.result && !row.error.empty(); }));
}

EpochPlan Search::epoch_plan() const {
  return {plan.budget, plan.halving, configuration().integer("epochs")};
}

Rung Search::next() const {
  const std::string metric = valid_metric();
  std::vector<RunProgress> runs;
  for (const SearchRow& row : rows) {
    runs.push_back({row.rungs, !row.error.empty()});
    // Where epochs are not shared out, a run that is finished is so whatever it was begun with.
    if (!epoch_plan().shares() && row.result)
      runs.back().rungs = {{0, row.result->training.epochs_run, row.result->training.valid.at(metric), true}};
  }
  return next_rung(epoch_plan(), runs);
}

std::string values_text(const Search& search, const SearchRow& row) {
  std::string text;
  for (std::size_t i = 0; i < row.values.size(); ++i)
    text += fmt::format("{}{}={}", i == 0 ? "" : " ", search.space.axes()[i].key, to_text(row.values[i]));
  return text;
}

std::string command_of(const SearchRow& row, const std::string& data) {
  Configuration configuration = row.description.configuration;
  // A search that shares epochs out may have ended it earlier.
  if (row.result)
    configuration.set("epochs", row.result->description.configuration.integer("epochs"), "epochs");
  std::string text = fmt::format("sea train {} --model {}", shell_quoted(data), configuration.model().name);
  for (const std::string& assignment : assignments_of(configuration)) {
    if (assignment.rfind("threads=", 0) != 0) text += " --set " + shell_quoted(assignment);
  }
  return text;
}

fs::path search_file(const fs::path& folder) {
  return folder / "tune.json";
}

void write_search(const fs::path& folder, const Search& search) {
  Json json;
  json["model"] = search.configuration().model().name;
  json["data"] = search.rows.front().description.data.string();
  json["version"] = SEA_VERSION;
  json["valid_metric"] = search.valid_metric();
  json["grid"] = choices_json(search.space);
  if (search.space.has_ranges()) json["ranges"] = ranges_json(search.space);
  if (const Json plan = plan_json(search.plan); !plan.empty()) json["plan"] = plan;
  json["best"] = nullptr;
  if (const SearchRow& best = *search.ranking().front(); best.result) {
    json["best"] = {{"run", best.run},
                    {"values", values_json(search, best)},
                    {"best_epoch", best.result->training.best_epoch},
                    {"valid", to_json(best.result->training.valid)}};
    if (!best.result->training.test.empty()) json["best"]["test"] = to_json(best.result->training.test);
    json["best"]["command"] = command_of(best, best.description.data.string());
  }
  for (const SearchRow& row : search.rows) json["rows"].push_back(row_json(search, row));
  write_json(search_file(folder), json);
}

Search read_search(const fs::path& folder) {
  const fs::path file = search_file(folder);
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored))
    throw Error(fmt::format("{}: is not the folder of a search; it has no tune.json", folder.string()));
  const Json json = read_json(file);
  try {
    const ModelDescription& model = *find_model(json.at("model").get<std::string>(), file.string()).model;
    Search search{SearchSpace(json.at("grid"), json.value("ranges", Json::object()), model, file.string()),
                  plan_of(json.value("plan", Json::object())),
                  {}};
    for (const Json& row : json.at("rows")) {
      const RunDescription description = run_description_of(row.at("config"), file.string());
      std::vector<KeyValue> values;
      for (const SearchSpace::Axis& axis : search.space.axes())
        values.push_back(description.configuration.value(axis.key));
      search.rows.push_back(
          {row.at("run").get<std::string>(), values, description, std::nullopt, {}, rungs_of(row)});
    }
    const std::optional<std::int64_t> rows = search.plan.random ? search.plan.random : search.space.size();
    if (rows && *rows > 0 && static_cast<std::int64_t>(search.rows.size()) == *rows) return search;
  } catch (const Json::exception&) {
  } catch (const UsageError& error) {
    throw Error(error.what());  // here it is state that is wrong, not how the command was used
  }
  throw Error(fmt::format("{}: is damaged; it is not that of a search", file.string()));
}

std::string search_table(const Search& search) {
  const std::vector<MetricName> columns = test_columns(search.configuration());
  const std::string valid_metric = search.valid_metric();
  std::vector<std::vector<std::string>> lines = {{"", "run"}};
  for (const SearchSpace::Axis& axis : search.space.axes()) lines[0].push_back(axis.key);
  const bool shares = search.epoch_plan().shares();
  if (shares) lines[0].push_back("epochs");
  lines[0].push_back("epoch");
  lines[0].push_back("valid " + parse_metric(valid_metric)->title());
  for (const MetricName& column : columns) lines[0].push_back("test " + column.title());
  lines[0].push_back("seconds");
  for (const SearchRow* row : search.ranking()) {
    std::vector<std::string> cells = {lines.size() == 1 && row->result ? "*" : "", row->run};
    for (const KeyValue& value : row->values) cells.push_back(to_text(value));
    if (row->result) {
      const TrainingResult& training = row->result->training;
      if (shares) cells.push_back(std::to_string(training.epochs_run));
      cells.push_back(std::to_string(training.best_epoch));
      cells.push_back(fmt::format("{:.4f}", training.valid.at(valid_metric)));
      for (const MetricName& column : columns)
        cells.push_back(training.test.empty() ? "-" : fmt::format("{:.4f}", training.test.at(column.key())));
      cells.push_back(fmt::format("{:.1f}", row->result->total_seconds));
    }
    lines.push_back(cells);
  }
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& cells : lines) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  std::string text;
  const std::vector<const SearchRow*> ranking = search.ranking();
  for (std::size_t line = 0; line < lines.size(); ++line) {
    for (std::size_t i = 0; i < lines[line].size(); ++i)
      text += fmt::format("{}{:>{}}", i == 0 ? "" : i == 1 ? " " : "  ", lines[line][i], widths[i]);
    if (line > 0 && !ranking[line - 1]->result) text += "  failed: " + ranking[line - 1]->error;
    text += '\n';
  }
  return text;
}

}  // namespace sea
