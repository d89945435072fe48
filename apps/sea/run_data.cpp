#include "run_data.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "commands.hpp"
#include "configuration/registry.hpp"
#include "output.hpp"
#include "sea/error.hpp"
#include "training/run_result.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

/// The folders inside `folder` that are those of runs, by name.
std::vector<fs::path> runs_inside(const fs::path& folder) {
  std::vector<fs::path> runs;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (fs::is_regular_file(entry.path() / "config.json", error)) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

/// The run that did best on validation; nothing where they cannot be compared.
std::optional<fs::path> best_of(const std::vector<fs::path>& runs) {
  std::optional<fs::path> best;
  std::optional<RunResult> its_result;
  std::string its_metric;
  for (const fs::path& run : runs) {
    std::optional<RunResult> result;
    try {
      result = read_result(run);
    } catch (const Error&) {
      // A damaged one is not the best.
    }
    if (!result) continue;
    const RunDescription& description = result->description;
    const std::string metric = parse_metric(description.configuration.text("valid_metric"))->key();
    if (best && (metric != its_metric ||
                 description.interactions_fingerprint != its_result->description.interactions_fingerprint))
      return {};
    if (best && result->training.valid.at(metric) <= its_result->training.valid.at(metric)) continue;
    best = run;
    its_result = std::move(result);
    its_metric = metric;
  }
  return best;
}

/// Throws Error where the numbers of `dataset` cannot mean the users and items that the run knows.
void check_ids(const std::filesystem::path& run, const RunDescription& description,
               const Representations& representations, const Dataset& dataset) {
  const std::int64_t users = representations.users.rows, items = representations.items.rows;
  if (dataset.users != users || dataset.items != items) {
    throw Error(fmt::format("{}: has {} users and {} items, and {} was trained on {} and {}; train anew",
                            dataset.folder.string(), dataset.users, dataset.items, run.string(), users,
                            items));
  }
  if (!dataset.ids_fingerprint.empty() && !description.ids_fingerprint.empty() &&
      dataset.ids_fingerprint != description.ids_fingerprint) {
    throw Error(
        fmt::format("{}: its original ids have other numbers than those that {} was trained on; train "
                    "anew",
                    dataset.folder.string(), run.string()));
  }
}

}  // namespace

void refuse_folder_of_runs(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / "config.json", ignored)) return;
  const std::vector<fs::path> runs = runs_inside(folder);
  if (runs.empty()) return;
  const std::string what =
      fmt::format("{}: is not the folder of a run but {}", folder.string(),
                  fs::exists(folder / "tune.json", ignored) ? "that of a search" : "one that holds runs");
  if (const std::optional<fs::path> best = best_of(runs))
    throw Error(fmt::format("{}; its best run on validation is {}", what, best->string()));
  throw Error(fmt::format("{}; name one of them, as in {}", what, runs.front().string()));
}

std::vector<fs::path> runs_of_seeds(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / "config.json", ignored)) return {folder};
  if (fs::exists(folder / "tune.json", ignored)) refuse_folder_of_runs(folder);
  const std::vector<fs::path> runs = runs_inside(folder);
  if (runs.empty()) return {folder};  // whoever reads it says what is wrong with it
  std::vector<std::string> first;
  for (const fs::path& run : runs) {
    const Configuration configuration = read_run(run).configuration;
    std::vector<std::string> settings = {configuration.model().name};
    for (const Key& key : configuration.model().keys) {
      // What may differ between runs of one command: the seed, and where it was computed.
      if (key.name != "seed" && key.name != "device" && key.name != "threads")
        settings.push_back(fmt::format("{}={}", key.name, to_text(configuration.value(key.name))));
    }
    if (first.empty()) first = settings;
    if (settings != first) {
      throw Error(fmt::format("{}: {} and {} differ in more than their seed; name one of them",
                              folder.string(), runs.front().filename().string(), run.filename().string()));
    }
  }
  return runs;
}

bool is_free(const fs::path& folder) {
  if (!fs::exists(fs::symlink_status(folder))) return true;
  if (!fs::is_directory(folder))
    throw Error(
        fmt::format("{}: is there already and is not a folder; name another --output", folder.string()));
  const auto entries = fs::directory_iterator(folder);
  return std::all_of(begin(entries), end(entries), [](const fs::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    return name == "lock" || name == ".config.json.tmp" || name == ".tune.json.tmp";
  });
}

std::vector<std::string> models_without_features() {
  std::vector<std::string> names;
  for (const ModelDescription& model : models()) {
    const DatasetFiles files = model.files(Configuration(model));
    if (!files.vision_feature_file && !files.text_feature_file) names.push_back(model.name);
  }
  return names;
}

Dataset load_training_data(const fs::path& folder, const Configuration& configuration) {
  const DatasetFiles files = dataset_files(configuration);
  try {
    return load_dataset(folder, files);
  } catch (const Error& error) {
    const std::string message = error.what();
    std::error_code ignored;
    for (const auto& name : {files.vision_feature_file, files.text_feature_file}) {
      if (name && message.find(*name) != std::string::npos && !fs::exists(folder / *name, ignored)) {
        throw Error(fmt::format("{}; without features train --model {}", message,
                                fmt::join(models_without_features(), ", ")));
      }
    }
    throw;
  }
}

RunData load_run(const std::filesystem::path& run, const std::optional<std::filesystem::path>& data,
                 const std::filesystem::path& file) {
  refuse_folder_of_runs(run);
  RunDescription description = read_run(run);
  const std::filesystem::path folder = data.value_or(description.data);
  std::error_code ignored;
  if (!data && !std::filesystem::exists(folder, ignored)) {
    throw Error(fmt::format("{}: the data of the run is not there any more; name its folder by --data",
                            folder.string()));
  }
  const TrainOn train_on = dataset_files(description.configuration).train_on;
  Dataset dataset = load_dataset(folder, DatasetFiles{std::nullopt, std::nullopt, train_on});
  Representations representations =
      read_representations(file, description.identity(), scorer_of(description.configuration.model().score));
  if (dataset.interactions_fingerprint != description.interactions_fingerprint) {
    check_ids(run, description, representations, dataset);
    print_notice(
        fmt::format("{}: its interactions are not all those that {} was trained on; users and items "
                    "are as many",
                    folder.string(), run.string()));
  }
  return {std::move(description), std::move(representations), std::move(dataset)};
}

Dataset load_data_of(const RunData& run, const fs::path& folder, const std::string& option) {
  Dataset dataset = load_training_data(run.dataset.folder, run.description.configuration);
  if (dataset.fingerprint == run.description.fingerprint) return dataset;
  throw Error(fmt::format(
      "{}: its interactions or features are not those that {} was trained on, which {} needs; train anew",
      run.dataset.folder.string(), folder.string(), option));
}

Device open_device_of(const std::string& device, const std::string& threads) {
  Configuration asked(models().front());
  asked.set_text("device", device, fmt::format("--device {}", device));
  asked.set_text("threads", threads, fmt::format("--threads {}", threads));
  Device opened = open_device(asked.text("device"), asked.integer("threads"));
  if (!opened.notice.empty()) print_notice(opened.notice);
  return opened;
}

std::filesystem::path default_folder(const std::filesystem::path& data, const std::string& model,
                                     const std::string& what) {
  std::error_code ignored;
  std::filesystem::path folder = std::filesystem::weakly_canonical(data, ignored);
  if (!folder.has_filename()) folder = folder.parent_path();
  return std::filesystem::path("runs") / fmt::format("{}-{}-{}", folder.filename().string(), model, what);
}

}  // namespace sea
