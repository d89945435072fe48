#include <fmt/format.h>

#include "commands.hpp"
#include "run_data.hpp"
#include "data/npy.hpp"
#include "data/safetensors.hpp"
#include "models/registry.hpp"
#include "sea/error.hpp"
#include "training/checkpoint.hpp"
#include "training/run_folder.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct ExportOptions {
  fs::path run, output;
};

void run_export(const ExportOptions& options) {
  const std::string ending = to_lower(options.output.extension().string());
  if (ending != ".npz" && ending != ".safetensors")
    throw UsageError(fmt::format("--output {}: must end in .npz or .safetensors", options.output.string()));
  refuse_folder_of_runs(options.run);
  const RunDescription description = read_run(options.run);
  const Representations representations =
      read_representations(best_file(options.run), description.identity());
  const HostMatrix &users = representations.users, &items = representations.items;
  if (ending == ".npz") {
    write_npz(options.output, {{"user_embeddings", "<f4", {users.rows, users.columns}, users.values.data()},
                               {"item_embeddings", "<f4", {items.rows, items.columns}, items.values.data()}});
  } else {
    write_safetensors(options.output,
                      {{"user_embeddings", "F32", {users.rows, users.columns}, users.values.data()},
                       {"item_embeddings", "F32", {items.rows, items.columns}, items.values.data()}},
                      {{"model", description.configuration.model().name}});
  }
}

}  // namespace

void add_export(CLI::App& app) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand(
      "export", "user and item vectors of a trained run; their inner product is the score");
  command->add_option("RUN", options->run, "folder of the run")->required();
  command->add_option("--output", options->output, "file that ends in .npz or .safetensors")->required();
  command->callback([options] { run_export(*options); });
}

}  // namespace sea
