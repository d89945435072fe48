// LayerGCN (Zhou et al., "Layer-refined Graph Convolutional Networks for Recommendation", ICDE 2023).

#include "configuration/registry.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  const std::int64_t users = dataset.users, items = dataset.items;
  const auto kept = [](std::int64_t epoch) {
    return epoch % 2 == 0 ? KeptPairs::by_degree : KeptPairs::uniform;
  };
  const InteractionGraph graph =
      upload_interaction_graph(*model, dataset, configuration.number("dropout"), kept);
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const auto represent = [&](Tape& tape, const CsrView& a) {
    const Tensor refined = refine_layers(tape, a, nodes, configuration.integer("n_layers"));
    return Embeddings{refined.row_range(0, users), refined.row_range(users, items)};
  };
  const Embeddings embeddings = represent(*model->training, graph.training);
  bpr(*model->training, "bpr", 1.0f, BprSum::sum, embeddings.users, embeddings.items, model->batch);
  embedding_norm(*model->training, "norm", static_cast<float>(configuration.number("reg_weight")),
                 EmbeddingNorm::half_squares, nodes.row_range(0, users), nodes.row_range(users, items),
                 model->batch);
  finish_model(*model, represent(*model->evaluation, graph.whole));
  return model;
}

}  // namespace

ModelDescription describe_layergcn() {
  ModelDescription layergcn;
  layergcn.name = "layergcn";
  layergcn.summary = "each propagated layer scaled by its likeness to the embeddings, on a pruned graph";
  layergcn.keys = common_keys(1e-3);
  layergcn.keys.push_back(integer_key("n_layers", 4, 1, 64, "propagations on the interaction graph"));
  layergcn.keys.push_back(
      number_key("dropout", 0.2, 0.0, 0.99, "share of the training pairs that an epoch's graph leaves out"));
  layergcn.keys.push_back(
      number_key("reg_weight", 1e-2, 0.0, 1e6, "weight of the squares of the batch's embeddings"));
  layergcn.build = build;
  return layergcn;
}

}  // namespace sea
