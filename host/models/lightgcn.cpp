// LightGCN (He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
// SIGIR 2020).

#include "models/recording.hpp"
#include "models/registry.hpp"

namespace sea {

namespace {

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items;
  const InteractionGraph graph = upload_interaction_graph(*model, dataset, 0.0, {}, seed_of(configuration));
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const Tensor propagated = propagate(program, graph.training, graph.training, nodes,
                                      configuration.integer("n_layers"), Layers::mean);
  const Tensor user_rows = propagated.row_range(0, users), item_rows = propagated.row_range(users, items);
  regularized_bpr(*model, configuration, user_rows, item_rows, nodes.row_range(0, users),
                  nodes.row_range(users, items));
  finish_model(*model, configuration, user_rows, item_rows);
  return model;
}

}  // namespace

ModelDescription describe_lightgcn() {
  ModelDescription lightgcn;
  lightgcn.name = "lightgcn";
  lightgcn.summary = "embeddings propagated on the interaction graph, the mean of all layers";
  lightgcn.keys = common_keys(1e-3);
  lightgcn.keys.push_back(integer_key("n_layers", 4, 1, 64, "propagations on the interaction graph"));
  lightgcn.keys.push_back(
      number_key("reg_weight", 1e-2, 0.0, 1e6, "weight of the norms of the batch's embeddings"));
  lightgcn.build = build;
  return lightgcn;
}

}  // namespace sea
