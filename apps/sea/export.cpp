#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "configuration/registry.hpp"
#include "data/npy.hpp"
#include "data/safetensors.hpp"
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
};

HostMatrix columns_of(const HostMatrix& matrix, std::int64_t first, std::int64_t count) {
  HostMatrix columns(matrix.rows, count);
  for (std::int64_t i = 0; i < matrix.rows; ++i)
    std::copy_n(matrix.view().row(i) + first, count, columns.view().row(i));
  return columns;
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
  std::vector<std::pair<std::string, HostMatrix>> arrays;
  arrays.emplace_back("user_embeddings", representations.users);
  for (const ItemPart& part : scorer.parts(representations.users.columns))
    arrays.emplace_back(part.name,
                        columns_of(representations.items, part.first_column, representations.users.columns));
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
  CLI::App* command = app.add_subcommand(
      "export", "user and item vectors of a trained run; their inner product is the score (pamd: its parts)");
  command->add_option("RUN", options->run, "folder of the run")->required();
  command->add_option("--output", options->output, "file that ends in .npz or .safetensors")->required();
  command->callback([options] { run_export(*options); });
}

}  // namespace sea
