// LayerGCN (Zhou et al., "Layer-refined Graph Convolutional Networks for Recommendation", ICDE 2023).

#include "models/recording.hpp"
#include "models/registry.hpp"

namespace sea {

namespace {

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items;
  const auto kept = [](std::int64_t epoch) {
    return epoch % 2 == 0 ? KeptPairs::by_degree : KeptPairs::uniform;
  };
  const InteractionGraph graph = upload_interaction_graph(*model, dataset, configuration.number("dropout"),
                                                          kept, seed_of(configuration));
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const Tensor refined =
      refine_layers(program, graph.training, nodes, configuration.integer("n_layers"), graph.whole);
  const Tensor user_rows = refined.row_range(0, users), item_rows = refined.row_range(users, items);
  bpr(program, "bpr", 1.0f, BprSum::sum, user_rows, item_rows, model->batch);
  embedding_norm(program, "norm", static_cast<float>(configuration.number("reg_weight")),
                 EmbeddingNorm::half_squares, nodes.row_range(0, users), nodes.row_range(users, items),
                 model->batch);
  finish_model(*model, configuration, user_rows, item_rows);
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
