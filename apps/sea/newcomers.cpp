#include "newcomers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "configuration/registry.hpp"
#include "data/features.hpp"
#include "data/file_bytes.hpp"
#include "id_finder.hpp"
#include "output.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

/// The models that read features and take in newcomers.
std::vector<std::string> models_for_new_items() {
  std::vector<std::string> names;
  const std::vector<std::string> without = models_without_features();
  for (const ModelDescription& model : models()) {
    if (model.refuses_newcomers.empty() && std::count(without.begin(), without.end(), model.name) == 0)
      names.push_back(model.name);
  }
  return names;
}

void check_model(const NewcomerFiles& files, const Configuration& configuration) {
  const ModelDescription& model = configuration.model();
  const char* option = files.history ? "--history" : "--new-items";
  if (!model.refuses_newcomers.empty())
    throw Error(fmt::format("{}: {} cannot take in who was not in training: {}", option, model.name,
                            model.refuses_newcomers));
  const DatasetFiles features = dataset_files(configuration);
  if (files.new_items && !features.vision_feature_file && !features.text_feature_file)
    throw Error(
        fmt::format("--new-items: {} reads no features, and knows an item by its interactions alone; {} do",
                    model.name, fmt::join(models_for_new_items(), ", ")));
}

void read_histories(const fs::path& file, const Dataset& dataset, Newcomers& newcomers) {
  const IdFinder finder(dataset, IdFinder::Of::items);
  std::unordered_map<std::string, std::size_t> places;
  for (const auto& [number, line] : read_lines("--history", file)) {
    if (number == 1 && line == "userID\titemID") continue;
    const std::string source = fmt::format("--history {}, line {}", file.string(), number);
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos || line.find('\t', tab + 1) != std::string::npos)
      throw Error(
          fmt::format("{}: '{}' is not a person and an item, parted by a tab", source, printable(line)));
    if (tab == 0) throw Error(fmt::format("{}: the person has no name", source));
    if (tab + 1 == line.size())
      throw Error(fmt::format("{}: '{}' has no item; a person needs one at least", source,
                              printable(line.substr(0, tab))));
    const auto [place, added] = places.try_emplace(line.substr(0, tab), newcomers.people.size());
    if (added) {
      newcomers.people.push_back(place->first);
      newcomers.histories.emplace_back();
    }
    newcomers.histories[place->second].push_back(finder.by_id(line.substr(tab + 1), source));
  }
  if (newcomers.people.empty())
    throw Error(fmt::format("--history {}: names nobody; its lines are a person and an item, parted by a tab",
                            file.string()));
  std::int64_t repeated = 0;
  for (std::vector<std::int32_t>& history : newcomers.histories) {
    std::sort(history.begin(), history.end());
    const auto end = std::unique(history.begin(), history.end());
    repeated += history.end() - end;
    history.erase(end, history.end());
  }
  if (repeated > 0)
    print_notice(fmt::format("--history {}: {} stood there before and {} left out", file.string(),
                             counted(repeated, "line"), repeated == 1 ? "is" : "are"));
}

void read_new_items(const fs::path& folder, const Dataset& dataset, Newcomers& newcomers) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw Error(fmt::format(
        "--new-items {}: is no folder; it is to hold the new items' feature files, as the data set does",
        folder.string()));
  for (const ItemFeatures& known : dataset.features) {
    ItemFeatures features = read_features(folder, known.modality, known.file.filename().string());
    const std::string name = "--new-items " + features.file.string();
    if (features.values.rows == 0) throw Error(fmt::format("{}: has no row, and so no item", name));
    if (features.values.columns != known.values.columns)
      throw Error(fmt::format("{}: has {}, and the model was trained on {}", name,
                              counted(features.values.columns, "column"), known.values.columns));
    if (newcomers.items() != 0 && features.values.rows != newcomers.items())
      throw Error(fmt::format("{}: has {}, and {} has {}", name, counted(features.values.rows, "row"),
                              dataset.features.front().file.filename().string(), newcomers.items()));
    newcomers.features.push_back(std::move(features.values));
  }
}

/// Ranking passes over an item whose score is no number: nobody would learn why.
void check_finite(const fs::path& folder, const HostMatrix& items, std::int64_t known) {
  if (const auto bad = find_not_finite(items.view().row_range(known, items.rows - known)))
    throw Error(
        fmt::format("--new-items {}: the features of row {} are so large that what the model makes of them "
                    "is not finite",
                    folder.string(), bad->row));
}

}  // namespace

Newcomers take_in(Backend& backend, const NewcomerFiles& files, const fs::path& folder, RunData& run) {
  const Configuration& configuration = run.description.configuration;
  check_model(files, configuration);
  Dataset trained_on = load_data_of(run, folder, files.history ? "--history" : "--new-items");
  Newcomers newcomers;
  if (files.history) read_histories(*files.history, run.dataset, newcomers);
  if (files.new_items) read_new_items(*files.new_items, trained_on, newcomers);
  const TrainedRun trained{configuration, best_file(folder), checkpoint_file(folder),
                           run.description.identity()};
  run.representations = with_newcomers(backend, trained, std::move(run.representations),
                                       std::move(trained_on), newcomers, [](const std::string&) {});
  if (files.new_items) check_finite(*files.new_items, run.representations.items, run.dataset.items);
  run.dataset = with_newcomers(std::move(run.dataset), newcomers);
  return newcomers;
}

}  // namespace sea
