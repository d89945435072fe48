// FREEDOM (Zhou and Shen, "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal
// Recommendation", MM 2023), and with SEA's modules plugged in.

#include "configuration/shared_keys.hpp"
#include "data/graph.hpp"
#include "models/initial_values.hpp"
#include "models/plug_in.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

/// A modality's trained features.
struct Modality {
  std::string name;  ///< visual, textual
  Tensor features;
};

/// The item graph, frozen, from the features as they are; then these become trained arrays.
std::vector<Modality> begin_modalities(Model& model, Dataset& dataset, const Configuration& configuration,
                                       const Progress& progress) {
  Backend& backend = model.program.backend();
  std::vector<HostCsr> graphs;
  std::vector<Modality> modalities;
  for (ItemFeatures& features : dataset.features) {
    const std::int64_t width = features.values.columns;
    {
      const Buffer<float> raw = to_device(backend, features.values.values);
      graphs.push_back(modality_graph(backend, features, raw.matrix(dataset.items, width),
                                      configuration.integer("knn_k"), progress));
    }
    const std::string name = features.modality == "visual" ? "image" : "text";
    modalities.push_back(
        {features.modality, model.program.parameter(*model.main, name + "_embedding.weight", dataset.items,
                                                    width, given_values(std::move(features.values.values)))});
    features.values = {};
    linear_parameters(model, name + "_trs", width, configuration.integer("embedding_size"));
  }
  const HostCsr graph = item_graph(graphs, static_cast<float>(configuration.number("mm_image_weight")));
  model.graphs.push_back(to_device(backend, graph));
  model.graphs.push_back(to_device(backend, transpose(graph)));
  return modalities;
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress& progress, bool keep_parts) {
  require_neighbours(configuration, dataset);
  auto model = begin_model(backend, dataset, configuration);
  const std::int64_t users = dataset.users, items = dataset.items;
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const std::vector<Modality> modalities = begin_modalities(*model, dataset, configuration, progress);
  const CsrView s = model->graphs[0].view(), s_transposed = model->graphs[1].view();
  const InteractionGraph graph = upload_interaction_graph(*model, dataset, configuration.number("dropout"),
                                                          [](std::int64_t) { return KeptPairs::by_degree; });

  const auto represent = [&](Tape& tape, const CsrView& a) {
    const Tensor alike = propagate(tape, s, s_transposed, nodes.row_range(users, items),
                                   configuration.integer("n_mm_layers"), Layers::last);
    const Tensor propagated =
        propagate(tape, a, a, nodes, configuration.integer("n_ui_layers"), Layers::mean);
    const Tensor item_rows = tape.activation(items, nodes.columns);
    add(tape, propagated.row_range(users, items), alike, item_rows);
    return Embeddings{propagated.row_range(0, users), item_rows};
  };
  const auto project = [&](Tape& tape, const Modality& modality) {
    const LinearParameters layer =
        linear_parameters(*model, modality.name == "visual" ? "image_trs" : "text_trs",
                          modality.features.columns, configuration.integer("embedding_size"));
    return linear(tape, modality.features, layer);
  };
  Tape& tape = *model->training;
  std::vector<Tensor> projected;
  for (const Modality& modality : modalities) projected.push_back(project(tape, modality));
  const Embeddings embeddings = represent(tape, graph.training);
  bpr(tape, "bpr", 1.0f, BprSum::mean, embeddings.users, embeddings.items, model->batch);
  const auto reg_weight = static_cast<float>(configuration.number("reg_weight"));
  PlugIn plug_in(configuration, keep_parts);
  for (std::size_t m = 0; m < modalities.size(); ++m) {
    const std::string& name = modalities[m].name;
    bpr(tape, "bpr_" + name, reg_weight, BprSum::mean, embeddings.users, projected[m], model->batch);
    plug_in.read(*model, tape, name, projected[m]);
  }
  plug_in.record(*model);
  if (plug_in.keeps_parts()) {  // ranking reads no projection
    for (const Modality& modality : modalities)
      plug_in.read(*model, *model->evaluation, modality.name, project(*model->evaluation, modality));
  }
  finish_model(*model, represent(*model->evaluation, graph.whole));
  return model;
}

}  // namespace

ModelDescription describe_freedom() {
  ModelDescription freedom;
  freedom.name = "freedom";
  freedom.summary = "a pruned interaction graph, and a frozen item graph of trained features";
  freedom.keys = common_keys(1e-3);
  for (const std::vector<Key>& keys : {feature_keys(), item_graph_keys()})
    freedom.keys.insert(freedom.keys.end(), keys.begin(), keys.end());
  freedom.keys.push_back(
      number_key("dropout", 0.8, 0.0, 0.99, "share of the training pairs that an epoch's graph leaves out"));
  freedom.keys.push_back(
      number_key("reg_weight", 1e-3, 0.0, 1e6, "weight of BPR between the users and each modality"));
  freedom.check = require_features;
  freedom.files = feature_files;
  freedom.build = without_parts(build);
  freedom.item_graphs = neighbour_graphs;
  return freedom;
}

ModelDescription describe_freedom_sea() {
  return with_plug_in(describe_freedom(), build);
}

}  // namespace sea
