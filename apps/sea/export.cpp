#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/registry.hpp"
#include "data/npy.hpp"
#include "data/safetensors.hpp"
#include "item_parts.hpp"
#include "output.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"
#include "training/checkpoint.hpp"
#include "training/run_folder.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct ExportOptions {
  fs::path run, output;
  bool parts = false;
  std::optional<fs::path> data;
  std::string device = "auto", threads = "0";
};

using NamedMatrix = std::pair<std::string, HostMatrix>;

HostMatrix columns_of(const HostMatrix& matrix, std::int64_t first, std::int64_t count) {
  HostMatrix columns(matrix.rows, count);
  for (std::int64_t i = 0; i < matrix.rows; ++i)
    std::copy_n(matrix.view().row(i) + first, count, columns.view().row(i));
  return columns;
}

/// Puts the items' parts behind `arrays`: the model is built again, and evaluated with the best parameters.
void add_parts(const ExportOptions& options, const RunDescription& description,
               std::vector<NamedMatrix>& arrays) {
  const ModelDescription& kind = description.configuration.model();
  if (!kind.parts) {
    throw UsageError(fmt::format("--parts: {} has no generic and unique parts; {} have them", kind.name,
                                 fmt::join(models_with_parts(), ", ")));
  }
  Dataset dataset = load_training_data(options.data.value_or(description.data), description.configuration);
  if (dataset.fingerprint != description.fingerprint) {
    throw Error(
        fmt::format("{}: its interactions or features are not those that {} was trained on, of which "
                    "the parts are computed",
                    dataset.folder.string(), options.run.string()));
  }
  const Device device = open_device_of(options.device, options.threads);
  for (NamedMatrix& part : item_parts(*device.backend, options.run, description, dataset))
    arrays.push_back(std::move(part));
}

void run_export(const ExportOptions& options) {
  const std::string ending = to_lower(options.output.extension().string());
  if (ending != ".npz" && ending != ".safetensors")
    throw UsageError(fmt::format("--output {}: must end in .npz or .safetensors", options.output.string()));
  refuse_folder_of_runs(options.run);
  const RunDescription description = read_run(options.run);
  const Scorer& scorer = scorer_of(description.configuration.model().score);
  const Representations representations =
      read_representations(best_file(options.run), description.identity(), scorer);
  std::vector<NamedMatrix> arrays;
  arrays.emplace_back("user_embeddings", representations.users);
  for (const ItemPart& part : scorer.parts(representations.users.columns))
    arrays.emplace_back(part.name,
                        columns_of(representations.items, part.first_column, representations.users.columns));
  if (options.parts) add_parts(options, description, arrays);
  if (ending == ".npz") {
    std::vector<NpzArray> files;
    for (const auto& [name, matrix] : arrays)
      files.push_back({name, "<f4", {matrix.rows, matrix.columns}, matrix.values.data()});
    write_npz(options.output, files);
  } else {
    std::vector<SafetensorsArray> tensors;
    for (const auto& [name, matrix] : arrays)
      tensors.push_back({name, "F32", {matrix.rows, matrix.columns}, matrix.values.data()});
    std::map<std::string, std::string> metadata = {{"model", description.configuration.model().name}};
    if (!scorer.caution().empty()) metadata["score"] = scorer.caution();
    write_safetensors(options.output, tensors, metadata);
  }
  if (!scorer.caution().empty())
    print_notice(fmt::format("{}: {}", description.configuration.model().name, scorer.caution()));
}

}  // namespace

void add_export(CLI::App& app) {
  auto options = std::make_shared<ExportOptions>();
  Command command(
      app, "export",
      "user and item vectors of a trained run; their inner product is the score (pamd: its parts)");
  command.option("RUN", options->run, "folder of the run").required();
  command.option("--output", options->output, "file that ends in .npz or .safetensors").required();
  command.flag("--parts", options->parts, "the items' generic and unique parts too, computed from the data");
  command.option("--data", options->data, "folder of the data set, where it has moved");
  command.device_options(options->device, options->threads);
  command.run([options, command] {
    for (const char* name : {"--data", "--device", "--threads"}) {
      if (command.has(name) && !options->parts)
        throw UsageError(fmt::format("{}: goes with --parts alone; without it no data is read", name));
    }
    run_export(*options);
  });
}

}  // namespace sea
