// MGCN (Yu et al., "Multi-View Graph Convolutional Network for Multimedia Recommendation", MM 2023), as
// MMRec's mgcn.py computes it.

#include "configuration/shared_keys.hpp"
#include "data/graph.hpp"
#include "models/learned_graph.hpp"
#include "models/recording.hpp"
#include "models/trained_features.hpp"

namespace sea {

namespace {

constexpr float temperature = 0.2f;

/// sigmoid(X W^T + b) o Y for the linear layer NAME.0.
Tensor gate(Model& model, Tape& tape, const std::string& name, Tensor x, Tensor y) {
  const LinearParameters layer = linear_parameters(model, name + ".0", x.columns, y.columns);
  return multiply(tape, activate(tape, Activation::sigmoid, linear(tape, x, layer)), y);
}

/// What all nodes have: the behaviour on the interaction graph, what the modalities add to it, and their sum.
struct Views {
  Tensor behaviour, side, sum;
};

/// The contrast of what a batch's rows have of the modalities and of behaviour.
void contrast(Model& model, const std::string& name, float weight, const Views& views, BatchRole role,
              std::int64_t first, std::int64_t count) {
  Tape& tape = *model.training;
  const auto unit_rows = [&](Tensor x) {
    return row_normalize(tape, gather_rows(tape, x.row_range(first, count), model.batch, role, first));
  };
  ContrastiveSettings settings;
  settings.temperature = temperature;
  contrastive(tape, name, weight, unit_rows(views.side), unit_rows(views.behaviour), {}, settings, true);
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress& progress) {
  require_neighbours(configuration, dataset);
  auto model = begin_model(backend, dataset, configuration);
  const std::int64_t users = dataset.users, items = dataset.items, all = users + items;
  const std::int64_t e = configuration.integer("embedding_size");
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const std::vector<TrainedFeatures> modalities =
      trained_features(*model, *model->main, dataset, configuration, e, progress);

  const HostCsr interactions = interaction_graph(dataset.train, dataset.joined);
  const CsrView a = model->graphs.emplace_back(to_device(backend, interactions)).view();
  const HostCsr of_users = user_block(interactions, users);
  const CsrView a_users = model->graphs.emplace_back(to_device(backend, of_users)).view();
  const CsrView a_items = model->graphs.emplace_back(to_device(backend, transpose(of_users))).view();
  std::vector<CsrView> alike, alike_transposed;
  for (const TrainedFeatures& modality : modalities) {
    alike.push_back(model->graphs.emplace_back(to_device(backend, modality.likeness)).view());
    alike_transposed.push_back(
        model->graphs.emplace_back(to_device(backend, transpose(modality.likeness))).view());
  }

  const auto represent = [&](Tape& tape) {
    Views views;
    views.behaviour = propagate(tape, a, a, nodes, configuration.integer("n_ui_layers"), Layers::mean);
    const Tensor both = tape.activation(all, 2 * e);
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      const Tensor projected = linear(tape, modalities[m].features, modalities[m].layer);
      const Tensor gated =
          gate(*model, tape, m == 0 ? "gate_v" : "gate_t", projected, nodes.row_range(users, items));
      const Tensor propagated = propagate(tape, alike[m], alike_transposed[m], gated,
                                          configuration.integer("n_layers"), Layers::last);
      const Tensor view = both.column_range(static_cast<std::int64_t>(m) * e, e);
      spmm(tape, a_users, a_items, propagated, view.row_range(0, users));
      copy(tape, propagated, view.row_range(users, items));
    }
    const Tensor common = attend(*model, tape, "query_common", both), without = scale(tape, -1.0f, common);
    Tensor side = common;
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      const Tensor own = add(tape, both.column_range(static_cast<std::int64_t>(m) * e, e), without);
      side =
          add(tape, side, gate(*model, tape, "gate_" + modalities[m].name + "_prefer", views.behaviour, own));
    }
    views.side = scale(tape, 1.0f / 3.0f, side);
    views.sum = add(tape, views.behaviour, views.side);
    return views;
  };
  const auto embeddings = [&](const Views& views) {
    return Embeddings{views.sum.row_range(0, users), views.sum.row_range(users, items)};
  };

  Tape& tape = *model->training;
  const Views views = represent(tape);
  const Embeddings trained = embeddings(views);
  bpr(tape, "bpr", 1.0f, BprSum::mean, trained.users, trained.items, model->batch);
  embedding_norm(tape, "norm", batch_share(configuration, "reg_weight"), EmbeddingNorm::half_squares,
                 trained.users, trained.items, model->batch);
  const auto cl_loss = static_cast<float>(configuration.number("cl_loss"));
  contrast(*model, "contrast_items", cl_loss, views, BatchRole::positive, users, items);
  contrast(*model, "contrast_users", cl_loss, views, BatchRole::user, 0, users);
  finish_model(*model, embeddings(represent(*model->evaluation)));
  return model;
}

}  // namespace

ModelDescription describe_mgcn() {
  ModelDescription mgcn;
  mgcn.name = "mgcn";
  mgcn.summary =
      "features that gate item embeddings, propagated on an item graph per modality, fused by attention";
  mgcn.keys = common_keys(1e-3);
  set_fallback(mgcn.keys, "learning_rate_scheduler", std::vector<double>{0.96, 50.0});
  const std::vector<Key> features = feature_keys();
  mgcn.keys.insert(mgcn.keys.end(), features.begin(), features.end());
  mgcn.keys.push_back(
      integer_key("knn_k", 10, 1, 1'000'000, "neighbours of an item in a modality's item graph"));
  mgcn.keys.push_back(integer_key("n_ui_layers", 2, 1, 64, "propagations on the interaction graph"));
  mgcn.keys.push_back(integer_key("n_layers", 1, 1, 64, "propagations on each item graph"));
  mgcn.keys.push_back(
      number_key("reg_weight", 1e-4, 0.0, 1e6, "weight of the squares of the batch's representations"));
  mgcn.keys.push_back(
      number_key("cl_loss", 1e-3, 0.0, 1e6, "weight of the contrast of behaviour and features"));
  mgcn.check = require_both_features;
  mgcn.files = feature_files;
  mgcn.build = build;
  mgcn.item_graphs = likeness_graphs;
  return mgcn;
}

}  // namespace sea
