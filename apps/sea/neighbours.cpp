#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "command.hpp"
#include "commands.hpp"
#include "configuration/registry.hpp"
#include "data/npy.hpp"
#include "output.hpp"
#include "run_data.hpp"
#include "sea/error.hpp"
#include "table_writer.hpp"
#include "training/fold_in.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

struct NeighbourOptions {
  fs::path run;
  std::string device = "auto", threads = "0";
  std::optional<fs::path> data, output;
};

/// The entries that any of some graphs has, row by row, columns ascending, with the value in each graph; 0
/// where it has none.
struct Entries {
  std::vector<std::int64_t> items, neighbours;
  std::vector<std::vector<float>> values;  ///< one array a graph
};

Entries entries_of(const std::vector<ItemNeighbours>& graphs) {
  Entries entries;
  entries.values.resize(graphs.size());
  const std::int64_t items = graphs.front().graph.rows;
  for (std::int64_t item = 0; item < items; ++item) {
    std::vector<std::int32_t> columns;
    for (const ItemNeighbours& of : graphs)
      columns.insert(columns.end(), of.graph.row(item).begin(), of.graph.row(item).end());
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    for (const std::int32_t column : columns) {
      entries.items.push_back(item);
      entries.neighbours.push_back(column);
    }
    for (std::size_t g = 0; g < graphs.size(); ++g) {
      const HostCsr& graph = graphs[g].graph;
      std::int64_t e = graph.row_offsets[item];
      for (const std::int32_t column : columns) {
        const bool has = e < graph.row_offsets[item + 1] && graph.column_indices[e] == column;
        entries.values[g].push_back(has ? graph.values[e++] : 0.0f);
      }
    }
  }
  return entries;
}

/// A learned graph of an evaluated model; entries beside the pattern are left out.
HostCsr to_host(Backend& backend, const Program& program, const Model::LearnedItemGraph& of) {
  HostCsr graph;
  const CsrPatternView& pattern = of.pattern.pattern;
  graph.rows = pattern.rows;
  graph.columns = pattern.columns;
  graph.row_offsets.resize(static_cast<std::size_t>(graph.rows) + 1);
  backend.copy_to_host(graph.row_offsets.data(), pattern.row_offsets,
                       graph.row_offsets.size() * sizeof(std::int64_t));
  graph.column_indices.resize(static_cast<std::size_t>(graph.row_offsets.back()));
  graph.values.resize(graph.column_indices.size());
  backend.copy_to_host(graph.column_indices.data(), pattern.column_indices,
                       graph.column_indices.size() * sizeof(std::int32_t));
  backend.copy_to_host(graph.values.data(), program.value(of.values).data,
                       graph.values.size() * sizeof(float));
  return graph;
}

std::vector<ItemNeighbours> graphs_of(Backend& backend, const NeighbourOptions& options, const RunData& run) {
  const Configuration& configuration = run.description.configuration;
  const ModelDescription& model = configuration.model();
  if (!model.item_graphs) {
    std::vector<std::string> names;
    for (const ModelDescription& other : models()) {
      if (other.item_graphs) names.push_back(other.name);
    }
    throw Error(fmt::format("{}: {} has no item graph; {} have one", options.run.string(), model.name,
                            fmt::join(names, ", ")));
  }
  const Progress progress = [](const std::string& what) { print_notice(what); };
  Dataset dataset = load_data_of(run, options.run, "sea neighbours");
  std::vector<ItemNeighbours> graphs = model.item_graphs(backend, dataset, configuration, progress);
  if (!model.learns_item_graphs) return graphs;
  const TrainedRun trained{configuration, best_file(options.run), checkpoint_file(options.run),
                           run.description.identity()};
  const std::unique_ptr<Model> built = fold_in(backend, trained, std::move(dataset), {}, progress);
  for (const Model::LearnedItemGraph& learned : built->learned_graphs) {
    const auto same = [&](const ItemNeighbours& graph) { return graph.name == learned.name; };
    graphs.erase(std::remove_if(graphs.begin(), graphs.end(), same), graphs.end());
    graphs.push_back({learned.name, to_host(backend, built->program, learned)});
  }
  return graphs;
}

void write_npz(const fs::path& file, const std::vector<ItemNeighbours>& graphs, const Entries& entries) {
  const auto count = static_cast<std::int64_t>(entries.items.size());
  std::vector<NpzArray> arrays = {{"itemID", "<i8", {count}, entries.items.data()},
                                  {"neighbourID", "<i8", {count}, entries.neighbours.data()}};
  for (std::size_t g = 0; g < graphs.size(); ++g)
    arrays.push_back({graphs[g].name, "<f4", {count}, entries.values[g].data()});
  sea::write_npz(file, arrays);
}

void run_neighbours(const NeighbourOptions& options) {
  const std::string end = is_stdout(options.output) ? ".tsv" : ending_of(*options.output);
  if (end != ".tsv" && end != ".jsonl" && end != ".npz")
    throw UsageError(fmt::format("--output {}: must end in .tsv, .jsonl or .npz, or be - for stdout",
                                 options.output->string()));
  const Device device = open_device_of(options.device, options.threads);
  const RunData run = load_run(options.run, options.data, best_file(options.run));
  const std::vector<ItemNeighbours> graphs = graphs_of(*device.backend, options, run);
  const Entries entries = entries_of(graphs);
  if (end == ".npz") return write_npz(*options.output, graphs, entries);
  const std::vector<std::string>& names = run.dataset.item_names;
  std::vector<std::string> columns = {"itemID", "neighbourID"};
  for (const ItemNeighbours& graph : graphs) columns.push_back(graph.name);
  if (!names.empty()) columns.insert(columns.end(), {"item", "neighbour"});
  write_table(options.output, columns, [&](const std::function<void(const Row&)>& receive) {
    for (std::size_t i = 0; i < entries.items.size(); ++i) {
      Row row = {entries.items[i], entries.neighbours[i]};
      for (const std::vector<float>& values : entries.values) row.emplace_back(values[i]);
      if (!names.empty()) {
        row.emplace_back(names[static_cast<std::size_t>(entries.items[i])]);
        row.emplace_back(names[static_cast<std::size_t>(entries.neighbours[i])]);
      }
      receive(row);
    }
  });
}

}  // namespace

void add_neighbours(CLI::App& app) {
  auto options = std::make_shared<NeighbourOptions>();
  Command command(app, "neighbours", "the item graph of a trained run as data");
  command.option("RUN", options->run, "folder of the run").required();
  command.option("--output", options->output,
                 "file that ends in .tsv, .jsonl or .npz, or - for stdout (default: .tsv on stdout)");
  command.option("--data", options->data, "folder of the data set, where it has moved");
  command.device_options(options->device, options->threads);
  command.run([options] { run_neighbours(*options); });
}

}  // namespace sea
