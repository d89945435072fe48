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

/// The behaviour on the interaction graph, what the modalities add to it, and their sum: of all nodes, or in
/// training of the batch's rows alone, see gather_triples.
struct Views {
  Tensor behaviour, side, sum;
};

/// The contrast of what rows of the batch, those of users or of positives, have of the modalities and of
/// behaviour.
void contrast(Model& model, const std::string& name, float weight, const Views& views, std::int64_t first) {
  Tape& tape = *model.training;
  const auto unit_rows = [&](Tensor x) {
    return row_normalize(tape, x.row_range(first, model.batch.users.count));
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
    Tensor both = tape.activation(all, 2 * e);
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
    if (&tape == model->training) {  // the layers that follow read each row alone
      for (Tensor* rows : {&views.behaviour, &both}) *rows = gather_triples(tape, *rows, users, model->batch);
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

  Tape& tape = *model->training;
  const Views views = represent(tape);
  const std::int64_t batch_size = model->batch.users.count;
  const Tensor user_rows = views.sum.row_range(0, batch_size),
               item_rows = views.sum.row_range(batch_size, 2 * batch_size);
  const Batch rows = gathered_triples(tape, batch_size);
  bpr(tape, "bpr", 1.0f, BprSum::mean, user_rows, item_rows, rows);
  embedding_norm(tape, "norm", batch_share(configuration, "reg_weight"), EmbeddingNorm::half_squares,
                 user_rows, item_rows, rows);
  const auto cl_loss = static_cast<float>(configuration.number("cl_loss"));
  contrast(*model, "contrast_items", cl_loss, views, batch_size);
  contrast(*model, "contrast_users", cl_loss, views, 0);
  const Tensor ranked = represent(*model->evaluation).sum;
  finish_model(*model, {ranked.row_range(0, users), ranked.row_range(users, items)});
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
