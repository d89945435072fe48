// MICRO (Zhang et al., "Latent Structure Mining with Contrastive Modality Fusion for Multimedia
// Recommendation", TKDE 2022), as its authors' code (github.com/CRIPAC-DIG/MICRO) computes it, on sparse item
// graphs.

#include <deque>
#include <memory>

#include "configuration/shared_keys.hpp"
#include "data/graph.hpp"
#include "models/learned_graph.hpp"
#include "models/recording.hpp"
#include "models/trained_features.hpp"

namespace sea {

namespace {

/// What a tape reads of a modality's item graph.
struct GraphValues {
  LearnedPattern pattern;
  Tensor values;
};

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress& progress) {
  require_neighbours(configuration, dataset);
  TrainingSettings settings = training_settings(configuration);
  settings.batches = Batches::users;
  auto model = begin_model(backend, dataset, settings);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items;
  const std::int64_t e = configuration.integer("embedding_size");
  // What the item graphs are learned from: without a gradient in all batches but an epoch's first.
  Arena& learned = program.arena("item_graphs", model->main->settings());
  model->training->move(learned);
  model->schedule.decaying.push_back(&learned);
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const std::vector<TrainedFeatures> modalities =
      trained_features(*model, learned, dataset, configuration, e, progress);
  const auto graphs = std::make_shared<std::deque<ItemGraph>>();
  for (const TrainedFeatures& modality : modalities)
    graphs->emplace_back(*model, modality.name + "_graph", std::vector<TrainedFeatures>{modality},
                         configuration.integer("knn_k"));
  model->schedule.begin_epoch = [graphs](std::int64_t) {
    for (ItemGraph& graph : *graphs) graph.begin_epoch();
  };
  model->schedule.before_evaluation = [graphs] {
    for (ItemGraph& graph : *graphs) graph.before_evaluation();
  };

  const HostCsr mean = mean_graph(dataset.train, true, dataset.joined);
  const CsrView a = model->graphs.emplace_back(to_device(backend, mean)).view();
  const CsrView a_transposed = model->graphs.emplace_back(to_device(backend, transpose(mean))).view();
  /// Users and items, and the item views that are contrasted.
  struct Recorded {
    Embeddings embeddings;
    Tensor views, attended, fused;
  };
  const auto represent = [&](Tape& tape, const std::vector<GraphValues>& item_graphs) {
    Recorded recorded;
    recorded.views = tape.activation(items, 2 * e);
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      Tensor view = nodes.row_range(users, items);
      for (std::int64_t layer = 0; layer < configuration.integer("n_layers"); ++layer)
        view = spmm(tape, item_graphs[m].pattern, item_graphs[m].values, view);
      copy(tape, view, recorded.views.column_range(static_cast<std::int64_t>(m) * e, e));
    }
    recorded.attended = attend(*model, tape, "query", recorded.views);
    recorded.fused = row_normalize(tape, recorded.attended);
    const Tensor propagated =
        propagate(tape, a, a_transposed, nodes, configuration.integer("n_ui_layers"), Layers::mean);
    recorded.embeddings = {propagated.row_range(0, users),
                           add(tape, propagated.row_range(users, items), recorded.fused)};
    return recorded;
  };
  const auto record_losses = [&](Tape& tape, const Recorded& recorded) {
    const auto& [representations, views, attended, fused] = recorded;
    bpr(tape, "bpr", 1.0f, BprSum::mean, representations.users, representations.items, model->batch);
    embedding_norm(tape, "norm", batch_share(configuration, "reg_weight"), EmbeddingNorm::half_squares,
                   representations.users, representations.items, model->batch);
    ContrastiveSettings contrast;
    contrast.temperature = static_cast<float>(configuration.number("tau"));
    contrast.intra = true;
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      const Tensor view = views.column_range(static_cast<std::int64_t>(m) * e, e);
      contrastive(tape, "contrast_" + modalities[m].name,
                  static_cast<float>(configuration.number("loss_ratio")), row_normalize(tape, view), fused,
                  {}, contrast, false);
    }
  };

  const auto lambda = static_cast<float>(configuration.number("lambda_coeff"));
  const auto mixed = [&](Tape& tape, const LearnedGraph ItemGraph::*graph) {
    std::vector<GraphValues> item_graphs;
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      const LearnedGraph& of = (*graphs)[m].*graph;
      const Tensor projected = linear(tape, modalities[m].features, modalities[m].layer);
      item_graphs.push_back({of.pattern(), item_graph_values(tape, of, {projected}, {}, lambda)});
    }
    return item_graphs;
  };
  // The first batch builds the graphs, differentiates them and keeps their values; the others read these.
  Tape& first = *model->training;
  const std::vector<GraphValues> built = mixed(first, &ItemGraph::training);
  std::vector<GraphValues> kept = built;
  for (std::size_t m = 0; m < kept.size(); ++m) {
    kept[m].values = (*graphs)[m].values;
    copy(first, built[m].values, kept[m].values);
  }
  record_losses(first, represent(first, built));
  Tape& other = further_training_tape(*model, dataset, "other batches", {model->main});
  record_losses(other, represent(other, kept));
  Step& first_step = add_step(*model, "first batch", {&first});
  Step& other_step = add_step(*model, "other batches", {&other}, {&learned});
  model->schedule.choose = [&first_step, &other_step](std::int64_t, std::int64_t i) -> Step& {
    return i == 0 ? first_step : other_step;
  };
  Tape& evaluation = *model->evaluation;
  const std::vector<GraphValues> last = mixed(evaluation, &ItemGraph::evaluation);
  for (std::size_t m = 0; m < last.size(); ++m) {
    evaluation.keep(last[m].values);
    model->learned_graphs.push_back({modalities[m].modality, last[m].pattern, last[m].values});
  }
  const Recorded evaluated = represent(evaluation, last);
  // One generic part for both modalities; what is left of a modality's view is its unique part.
  model->parts["generic"] = evaluated.attended;
  const Tensor opposite = scale(evaluation, -1.0f, evaluated.attended);
  for (std::size_t m = 0; m < modalities.size(); ++m) {
    const Tensor view = evaluated.views.column_range(static_cast<std::int64_t>(m) * e, e);
    model->parts[modalities[m].modality + "_unique"] = add(evaluation, view, opposite);
  }
  finish_model(*model, evaluated.embeddings);
  return model;
}

}  // namespace

ModelDescription describe_micro() {
  ModelDescription micro;
  micro.name = "micro";
  micro.summary = "an item graph learned per modality, fused by attention and contrast";
  micro.keys = common_keys(5e-4);
  set_fallback(micro.keys, "train_batch_size", std::int64_t{1024});
  set_fallback(micro.keys, "learning_rate_scheduler", std::vector<double>{0.96, 50.0});
  set_fallback(micro.keys, "eval_step", std::int64_t{5});
  set_fallback(micro.keys, "stopping_step", std::int64_t{10});
  const std::vector<Key> features = feature_keys();
  micro.keys.insert(micro.keys.end(), features.begin(), features.end());
  micro.keys.push_back(
      integer_key("knn_k", 10, 1, 1'000'000, "neighbours of an item in a modality's item graph"));
  micro.keys.push_back(number_key("lambda_coeff", 0.9, 0.0, 1.0,
                                  "weight of the frozen item graphs; the rest is the learned ones'"));
  micro.keys.push_back(integer_key("n_ui_layers", 2, 1, 64, "propagations on the interaction graph"));
  micro.keys.push_back(integer_key("n_layers", 1, 1, 64, "propagations on the item graphs"));
  micro.keys.push_back(
      number_key("reg_weight", 1e-5, 0.0, 1e6, "weight of the squares of the batch's representations"));
  micro.keys.push_back(
      number_key("loss_ratio", 0.03, 0.0, 1e6, "weight of the contrast of each modality with their fusion"));
  micro.keys.push_back(number_key("tau", 0.5, 0.025, 1e6, "temperature of that contrast"));
  micro.check = require_both_features;
  micro.files = feature_files;
  micro.build = micro.parts = build;
  micro.item_graphs = likeness_graphs;
  micro.learns_item_graphs = true;
  return micro;
}

}  // namespace sea
