// LightGCN (He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
// SIGIR 2020).

#include "configuration/registry.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  const std::int64_t users = dataset.users, items = dataset.items;
  const InteractionGraph graph = upload_interaction_graph(*model, dataset, 0.0, {});
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const auto represent = [&](Tape& tape) {
    const Tensor propagated =
        propagate(tape, graph.whole, graph.whole, nodes, configuration.integer("n_layers"), Layers::mean);
    return Embeddings{propagated.row_range(0, users), propagated.row_range(users, items)};
  };
  regularized_bpr(*model, configuration, represent(*model->training),
                  {nodes.row_range(0, users), nodes.row_range(users, items)});
  finish_model(*model, represent(*model->evaluation));
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
