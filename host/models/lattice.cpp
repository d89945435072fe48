// LATTICE (Zhang et al., "Mining Latent Structures for Multimedia Recommendation", MM 2021), and with SEA's
// modules plugged in. As MMRec's lattice.py computes it, on sparse item graphs.

#include <memory>

#include "configuration/shared_keys.hpp"
#include "data/graph.hpp"
#include "models/initial_values.hpp"
#include "models/learned_graph.hpp"
#include "models/plug_in.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress& progress, bool keep_parts) {
  require_neighbours(configuration, dataset);
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items;
  // What the item graph is learned from: without a gradient in all batches but an epoch's first.
  Arena& learned = program.arena("item_graph", model->main->settings());
  model->training->move(learned);
  model->schedule.decaying.push_back(&learned);
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const std::vector<TrainedFeatures> modalities = trained_features(
      *model, learned, dataset, configuration, configuration.integer("feat_embed_dim"), progress);
  const bool both = modalities.size() == 2;
  const Tensor modal_weight =
      both ? program.parameter(learned, "modal_weight", 1, 2, constant_value(0.5f)) : Tensor{};
  const auto graph =
      std::make_shared<ItemGraph>(*model, "item_graph", modalities, configuration.integer("knn_k"));
  model->schedule.begin_epoch = [graph](std::int64_t) { graph->begin_epoch(); };
  model->schedule.before_evaluation = [graph] { graph->before_evaluation(); };

  const HostCsr mean = mean_graph(dataset.train, true, dataset.joined);
  const CsrView a = model->graphs.emplace_back(to_device(backend, mean)).view();
  const CsrView transposed = model->graphs.emplace_back(to_device(backend, transpose(mean))).view();
  const auto lambda = static_cast<float>(configuration.number("lambda_coeff"));
  PlugIn plug_in(configuration, keep_parts);

  const auto project = [&](Tape& tape) {
    std::vector<Tensor> projected;
    for (const TrainedFeatures& modality : modalities) {
      projected.push_back(linear(tape, modality.features, modality.layer));
      plug_in.read(*model, tape, modality.modality, projected.back());
    }
    return projected;
  };
  const auto represent = [&](Tape& tape, const LearnedPattern& pattern, Tensor values) {
    Tensor alike = nodes.row_range(users, items);
    for (std::int64_t layer = 0; layer < configuration.integer("n_layers"); ++layer)
      alike = spmm(tape, pattern, values, alike);
    const Tensor propagated =
        propagate(tape, a, transposed, nodes, configuration.integer("n_ui_layers"), Layers::mean);
    return Embeddings{propagated.row_range(0, users),
                      add(tape, propagated.row_range(users, items), row_normalize(tape, alike))};
  };
  const auto record_losses = [&](Tape& tape, const Embeddings& embeddings) {
    bpr(tape, "bpr", 1.0f, BprSum::mean, embeddings.users, embeddings.items, model->batch);
    embedding_norm(tape, "norm", batch_share(configuration, "reg_weight"), EmbeddingNorm::half_squares,
                   embeddings.users, embeddings.items, model->batch);
  };

  // The first batch builds the graph, differentiates it and keeps its values; the others read them.
  Tape& first = *model->training;
  const Tensor values = item_graph_values(first, graph->training, project(first), modal_weight, lambda);
  copy(first, values, graph->values);
  record_losses(first, represent(first, graph->training.pattern(), values));
  // The modules train the projections in every batch.
  Tape& other = plug_in.active()
                    ? further_training_tape(*model, dataset, "other batches", {model->main, &learned})
                    : further_training_tape(*model, dataset, "other batches", {model->main});
  if (plug_in.active()) project(other);
  record_losses(other, represent(other, graph->training.pattern(), graph->values));
  plug_in.record(*model);
  Step& first_step = add_step(*model, "first batch", {&first});
  Step& other_step = plug_in.active() ? add_step(*model, "other batches", {&other})
                                      : add_step(*model, "other batches", {&other}, {&learned});
  model->schedule.choose = [&first_step, &other_step](std::int64_t, std::int64_t i) -> Step& {
    return i == 0 ? first_step : other_step;
  };

  Tape& evaluation = *model->evaluation;
  const LearnedPattern pattern = graph->evaluation.pattern();
  const Tensor last =
      item_graph_values(evaluation, graph->evaluation, project(evaluation), modal_weight, lambda);
  evaluation.keep(last);
  model->learned_graphs.push_back({"combined", pattern, last});
  finish_model(*model, represent(evaluation, pattern, last));
  return model;
}

}  // namespace

ModelDescription describe_lattice() {
  ModelDescription lattice;
  lattice.name = "lattice";
  lattice.summary = "an item graph learned from the features, built anew in every epoch";
  lattice.keys = common_keys(1e-3);
  set_fallback(lattice.keys, "learning_rate_scheduler", std::vector<double>{0.96, 50.0});
  const std::vector<Key> features = feature_keys();
  lattice.keys.insert(lattice.keys.end(), features.begin(), features.end());
  lattice.keys.push_back(integer_key("feat_embed_dim", 64, 1, 4096,
                                     "width of the projected features that neighbours are found in"));
  lattice.keys.push_back(
      integer_key("knn_k", 10, 1, 1'000'000, "neighbours of an item in a modality's item graph"));
  lattice.keys.push_back(number_key("lambda_coeff", 0.9, 0.0, 1.0,
                                    "weight of the frozen item graph; the rest is the learned one's"));
  lattice.keys.push_back(integer_key("n_ui_layers", 2, 1, 64, "propagations on the interaction graph"));
  lattice.keys.push_back(integer_key("n_layers", 1, 1, 64, "propagations on the item graph"));
  lattice.keys.push_back(
      number_key("reg_weight", 1e-3, 0.0, 1e6, "weight of the squares of the batch's representations"));
  lattice.check = require_features;
  lattice.files = feature_files;
  lattice.build = without_parts(build);
  lattice.item_graphs = likeness_graphs;
  lattice.learns_item_graphs = true;
  return lattice;
}

ModelDescription describe_lattice_sea() {
  ModelDescription lattice = with_plug_in(describe_lattice(), build);
  lattice.check = [](const Configuration& configuration) {
    require_features(configuration);
    require_modalities(configuration);
    require_halves(configuration, "feat_embed_dim");
  };
  return lattice;
}

}  // namespace sea
