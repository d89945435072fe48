#include "training/similar.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/registry.hpp"
#include "data/graph.hpp"
#include "id_finder.hpp"
#include "item_parts.hpp"
#include "output.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"
#include "table_writer.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct SimilarOptions {
  fs::path run;
  std::vector<std::string> items, item_numbers, users, user_numbers;
  std::string by = "representation", modality = "both", top_k = "20", device = "auto", threads = "0";
  std::optional<fs::path> data, output;

  bool of_users() const { return !users.empty() || !user_numbers.empty(); }
  bool wants(const std::string& one) const { return modality == "both" || modality == one; }
};

void check(const SimilarOptions& options) {
  const bool items = !options.items.empty() || !options.item_numbers.empty();
  if (items == options.of_users())
    throw UsageError(items ? "--item and --user: give one of them"
                           : "--item, --item-index, --user or --user-index is needed");
  if (options.of_users() && options.by != "representation")
    throw UsageError(
        fmt::format("--by {}: goes with items; users have their representation alone", options.by));
  if (is_stdout(options.output)) return;
  const std::string end = ending_of(*options.output);
  if (end != ".tsv" && end != ".jsonl")
    throw UsageError(
        fmt::format("--output {}: must end in .tsv or .jsonl, or be - for stdout", options.output->string()));
}

HostMatrix columns_of(const HostMatrix& matrix, std::int64_t first, std::int64_t count) {
  HostMatrix columns(matrix.rows, count);
  for (std::int64_t i = 0; i < matrix.rows; ++i)
    std::copy_n(matrix.view().row(i) + first, count, columns.view().row(i));
  return columns;
}

std::vector<std::string> names_of(const std::function<bool(const ModelDescription&)>& has) {
  std::vector<std::string> names;
  for (const ModelDescription& model : models()) {
    if (has(model)) names.push_back(model.name);
  }
  return names;
}

/// The modalities that the run's model reads, visual first.
std::vector<std::string> modalities_of(const Configuration& configuration) {
  const DatasetFiles files = dataset_files(configuration);
  std::vector<std::string> modalities;
  if (files.vision_feature_file) modalities.push_back("visual");
  if (files.text_feature_file) modalities.push_back("textual");
  return modalities;
}

/// Whole rows, or one modality's columns of them.
LikenessSpace representation_space(const SimilarOptions& options, const RunData& run) {
  const Configuration& configuration = run.description.configuration;
  const HostMatrix& rows = options.of_users() ? run.representations.users : run.representations.items;
  LikenessSpace space;
  if (!configuration.model().modalities_side_by_side) {
    if (options.modality != "both")
      throw Error(fmt::format(
          "--modality {}: the representation of {} mixes the modalities; those of {} have columns for each",
          options.modality, configuration.model().name,
          fmt::join(names_of([](const ModelDescription& model) { return model.modalities_side_by_side; }),
                    ", ")));
    space.rows = rows;
    return space;
  }
  const std::vector<std::string> modalities = modalities_of(configuration);
  const std::int64_t width = rows.columns / static_cast<std::int64_t>(modalities.size());
  for (std::size_t m = 0; m < modalities.size(); ++m)
    space.blocks.push_back({modalities[m], static_cast<std::int64_t>(m) * width, width});
  if (options.modality == "both") {
    space.rows = rows;
    return space;
  }
  for (LikenessSpace::Block block : space.blocks) {
    if (block.modality != options.modality) continue;
    space.rows = columns_of(rows, block.first, block.columns);
    block.first = 0;
    space.blocks = {block};
    return space;
  }
  return space;
}

/// Generic or unique parts, or the features themselves, of the modalities asked for. A part that is common to
/// the modalities is one of either.
LikenessSpace modality_space(Backend& backend, const SimilarOptions& options, const RunData& run) {
  const ModelDescription& model = run.description.configuration.model();
  const bool raw = options.by == "features";
  if (!raw && !model.parts)
    throw Error(fmt::format("--by {}: {} does not part a modality into generic and unique; {} do", options.by,
                            model.name, fmt::join(models_with_parts(), ", ")));
  const std::vector<std::string> modalities = modalities_of(run.description.configuration);
  if (modalities.empty()) throw Error(fmt::format("--by features: {} reads no features", model.name));
  Dataset dataset = load_data_of(run, options.run, "--by " + options.by);
  std::map<std::string, HostMatrix> parts;
  if (raw) {
    for (ItemFeatures& modality : dataset.features)
      parts.emplace(modality.modality + "_features", std::move(modality.values));
  } else {
    for (auto& [name, rows] : item_parts(backend, options.run, run.description, dataset))
      parts.emplace(name, std::move(rows));
  }
  std::vector<LikenessSpace> spaces;
  if (const auto common = parts.find(options.by); common != parts.end()) {
    spaces.push_back({std::move(common->second), {}});
  } else {
    for (const std::string& modality : modalities) {
      if (!options.wants(modality)) continue;
      HostMatrix& rows = parts.at(modality + "_" + options.by);
      const std::int64_t columns = rows.columns;
      spaces.push_back({std::move(rows), {{modality, 0, columns}}});
    }
  }
  return side_by_side(std::move(spaces));
}

std::vector<std::int64_t> shared_of(ConstIndexView a, ConstIndexView b) {
  std::vector<std::int64_t> shared;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(shared));
  return shared;
}

void write(const SimilarOptions& options, const RunData& run, const LikenessSpace& space,
           const std::vector<std::int32_t>& queries, const std::vector<std::vector<Alike>>& lists) {
  const Dataset& dataset = run.dataset;
  const bool users = options.of_users();
  const HostCsr edges = users ? dataset.train : transpose(dataset.train);
  const std::vector<std::string>& names = users ? dataset.user_names : dataset.item_names;
  std::vector<std::string> columns = {
      users ? "userID" : "itemID", "rank", "similarID", "similarity", "shared", "sharedIDs"};
  const bool why = space.blocks.size() > 1;
  if (why) columns.push_back("modality");
  for (const LikenessSpace::Block& block : space.blocks) {
    if (why) columns.push_back(block.modality);
  }
  if (!names.empty()) columns.insert(columns.end(), {users ? "user" : "item", "similar"});
  write_table(options.output, columns, [&](const std::function<void(const Row&)>& receive) {
    for (std::size_t q = 0; q < queries.size(); ++q) {
      for (std::size_t n = 0; n < lists[q].size(); ++n) {
        const Alike& alike = lists[q][n];
        std::vector<std::int64_t> shared = shared_of(edges.row(queries[q]), edges.row(alike.id));
        const auto count = static_cast<std::int64_t>(shared.size());
        shared.resize(std::min<std::size_t>(shared.size(), 10));
        Row row = {std::int64_t{queries[q]},
                   static_cast<std::int64_t>(n + 1),
                   std::int64_t{alike.id},
                   alike.similarity,
                   count,
                   shared};
        if (why) {
          const auto most = std::max_element(alike.contributions.begin(), alike.contributions.end());
          row.emplace_back(
              space.blocks[static_cast<std::size_t>(most - alike.contributions.begin())].modality);
          row.insert(row.end(), alike.contributions.begin(), alike.contributions.end());
        }
        if (!names.empty()) {
          row.emplace_back(names[static_cast<std::size_t>(queries[q])]);
          row.emplace_back(names[static_cast<std::size_t>(alike.id)]);
        }
        receive(row);
      }
    }
  });
}

/// Whose vectors have been trained: users with a history, and items with one unless features make theirs.
std::vector<std::int32_t> candidates_of(const SimilarOptions& options, const RunData& run) {
  const Dataset& dataset = run.dataset;
  std::vector<std::int32_t> ids(static_cast<std::size_t>(options.of_users() ? dataset.users : dataset.items));
  std::iota(ids.begin(), ids.end(), 0);
  if (!options.of_users() && !modalities_of(run.description.configuration).empty()) return ids;
  const HostCsr edges = options.of_users() ? dataset.train : transpose(dataset.train);
  std::erase_if(ids, [&](std::int32_t id) { return edges.row(id).empty(); });
  return ids;
}

void run_similar(const SimilarOptions& options) {
  const std::int64_t top_k = parse_option("--top-k", options.top_k, 1, 2147483647);
  check(options);
  const Device device = open_device_of(options.device, options.threads);
  const RunData run = load_run(options.run, options.data, best_file(options.run));
  const std::vector<std::string> modalities = modalities_of(run.description.configuration);
  if (options.modality != "both" && !modalities.empty() &&
      std::count(modalities.begin(), modalities.end(), options.modality) == 0)
    throw Error(fmt::format("--modality {}: {} was trained on the {} one alone", options.modality,
                            options.run.string(), modalities.front()));
  const IdFinder finder(run.dataset, options.of_users() ? IdFinder::Of::users : IdFinder::Of::items);
  std::vector<std::int32_t> queries;
  finder.add_ids("--item", options.items, "--item-index", queries);
  finder.add_numbers("--item-index", options.item_numbers, queries);
  finder.add_ids("--user", options.users, "--user-index", queries);
  finder.add_numbers("--user-index", options.user_numbers, queries);

  const LikenessSpace space = options.by == "representation" ? representation_space(options, run)
                                                             : modality_space(*device.backend, options, run);
  const std::vector<std::int32_t> candidates = candidates_of(options, run);
  const auto untrained = std::count_if(queries.begin(), queries.end(), [&](std::int32_t id) {
    return !std::binary_search(candidates.begin(), candidates.end(), id);
  });
  if (untrained > 0)
    print_notice(fmt::format("{} of {} {} have no training pair; nothing has trained their vectors",
                             untrained, queries.size(), options.of_users() ? "users" : "items"));
  write(options, run, space, queries, most_similar(*device.backend, space, queries, top_k, candidates));
}

}  // namespace

void add_similar(CLI::App& app) {
  auto options = std::make_shared<SimilarOptions>();
  Command command(app, "similar", "the items most like an item, or the users like a user");
  command.option("RUN", options->run, "folder of the run").required();
  command
      .option("--item", options->items,
              "items, as in 7,12: by original id where i_id_mapping.csv is, else by number")
      .several();
  command.option("--item-index", options->item_numbers, "items by number, as in 7,12").several();
  command.option("--user", options->users, "users, likewise").several();
  command.option("--user-index", options->user_numbers, "users by number, as in 7,12").several();
  command
      .option("--by", options->by,
              "representation, generic, unique or features: what is compared (default: representation)")
      .one_of({"representation", "generic", "unique", "features"});
  command.option("--modality", options->modality, "visual, textual or both (default: both)")
      .one_of({"visual", "textual", "both"});
  command.option("--top-k", options->top_k, "how many for each (default: 20)");
  command.option("--output", options->output,
                 "file that ends in .tsv or .jsonl, or - for stdout (default: .tsv on stdout)");
  command.option("--data", options->data, "folder of the data set, where it has moved");
  command.device_options(options->device, options->threads);
  command.run([options] { run_similar(*options); });
}

}  // namespace sea
