// LATTICE (Zhang et al., "Mining Latent Structures for Multimedia Recommendation", MM 2021), and with SEA's
// modules plugged in. As MMRec's lattice.py computes it, on sparse item graphs.

#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "data/graph.hpp"
#include "data/neighbours.hpp"
#include "models/initial_values.hpp"
#include "models/learned_graph.hpp"
#include "models/plug_in.hpp"
#include "models/recording.hpp"
#include "models/shared_keys.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// Neighbours are kept in a state, whose numbers are floats: whole numbers up to here are exact.
constexpr std::int64_t most_items = std::int64_t{1} << 24;

struct Modality {
  std::string name;  ///< visual, textual
  Tensor features;
  LinearParameters layer;
};

/// The learned item graph's two patterns: of the epoch's first batch, and of the present parameters for
/// evaluation.
class ItemGraphs {
 public:
  ItemGraphs(Model& model, std::vector<Modality> modalities, const std::vector<HostCsr>& frozen,
             std::int64_t knn_k)
      : training(model.program.backend(), frozen, knn_k),
        evaluation(model.program.backend(), frozen, knn_k),
        model_(model),
        modalities_(std::move(modalities)),
        knn_k_(knn_k),
        projected_(modalities_.size()),
        neighbours_(modalities_.size()) {
    const auto rows = static_cast<std::int64_t>(modalities_.size()) * modalities_.front().features.rows;
    kept_ = model.program.state("item_graph.neighbours", rows, knn_k, constant_value(0.0f));
  }

  /// Finds the epoch's neighbours, or those that the epoch began with where it goes on in its middle.
  void begin_epoch() {
    Program& program = model_.program;
    const MatrixView kept = program.value(kept_);
    if (program.step_state().download().front().first == 0) {
      find_neighbours();
      std::vector<float> all;
      for (const auto& ids : neighbours_) all.insert(all.end(), ids.begin(), ids.end());
      program.backend().copy_to_device(kept.data, all.data(), all.size() * sizeof(float));
      return training.build(neighbours_);
    }
    const std::vector<float> all = to_host(program.backend(), kept).values;
    const auto size = static_cast<std::ptrdiff_t>(all.size() / modalities_.size());
    std::vector<std::vector<std::int32_t>> ids;
    for (auto first = all.begin(); first != all.end(); first += size) ids.emplace_back(first, first + size);
    training.build(ids);
  }

  void before_evaluation() {
    find_neighbours();
    evaluation.build(neighbours_);
  }

  LearnedGraph training, evaluation;

 private:
  /// The neighbours in the present parameters. Those found for an evaluation serve the epoch after it.
  void find_neighbours() {
    Program& program = model_.program;
    Backend& backend = program.backend();
    for (std::size_t m = 0; m < modalities_.size(); ++m) {
      const auto& [name, features, layer] = modalities_[m];
      const std::int64_t items = features.rows, width = layer.weight.rows;
      const Buffer<float> projected(backend, items * width);
      const ConstMatrixView bias = program.value(layer.bias);
      backend.linear(program.value(features), program.value(layer.weight),
                     {bias.data, static_cast<std::size_t>(width)}, projected.matrix(items, width));
      std::vector<float> values = projected.download();
      if (values == projected_[m]) continue;
      projected_[m] = std::move(values);
      neighbours_[m] = nearest_neighbours(backend, projected.matrix(items, width), knn_k_);
    }
  }

  Model& model_;
  std::vector<Modality> modalities_;
  std::int64_t knn_k_;
  Tensor kept_;
  std::vector<std::vector<float>> projected_;  ///< what `neighbours_` were found in
  std::vector<std::vector<std::int32_t>> neighbours_;
};

/// The values of the item graph on this pattern (1 x capacity): the learned and the frozen graphs, mixed by
/// the softmax of the modalities' weights, which is empty for one modality.
Tensor item_graph_values(Model& model, Tape& tape, const LearnedGraph& graph,
                         const std::vector<Tensor>& projected, Tensor modal_weight, float lambda) {
  Program& program = model.program;
  const LearnedPattern pattern = graph.pattern();
  const auto count = static_cast<std::int64_t>(projected.size());
  const Tensor learned = tape.activation(count, pattern.capacity), frozen = program.constant(graph.frozen());
  for (std::int64_t m = 0; m < count; ++m) {
    const auto modality = static_cast<std::size_t>(m);
    const Tensor unit = row_normalize(tape, projected[modality]);
    copy(tape, sddmm(tape, pattern, program.constant(graph.mask(modality)), unit, unit),
         learned.row_range(m, 1));
  }
  Tensor mixed = learned, mixed_frozen = frozen;
  if (count == 2) {
    const Tensor weights = softmax(tape, modal_weight);
    mixed = matmul(tape, Transpose::no, Transpose::no, weights, learned);
    mixed_frozen = matmul(tape, Transpose::no, Transpose::no, weights, frozen);
  }
  return add(tape, scale(tape, 1.0f - lambda, edge_normalize(tape, pattern, mixed)),
             scale(tape, lambda, mixed_frozen));
}

/// The features as trained arrays of `arena`, with the layers that project them; the frozen graphs.
std::vector<Modality> begin_modalities(Model& model, Arena& arena, Dataset& dataset,
                                       const Configuration& configuration, const Progress& progress,
                                       std::vector<HostCsr>& frozen) {
  Backend& backend = model.program.backend();
  std::vector<Modality> modalities;
  for (ItemFeatures& modality : dataset.features) {
    const std::int64_t width = modality.values.columns;
    {
      const Buffer<float> raw = to_device(backend, modality.values.values);
      frozen.push_back(likeness_graph(backend, modality, raw.matrix(dataset.items, width),
                                      configuration.integer("knn_k"), progress));
    }
    const std::string name = modality.modality == "visual" ? "image" : "text";
    modalities.push_back({modality.modality,
                          model.program.parameter(arena, name + "_embedding.weight", dataset.items, width,
                                                  given_values(std::move(modality.values.values))),
                          linear_parameters(model, name + "_trs", width,
                                            configuration.integer("feat_embed_dim"), {}, &arena)});
    modality.values = {};
  }
  return modalities;
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress& progress) {
  require_neighbours(configuration, dataset);
  if (dataset.items > most_items)
    throw Error(fmt::format("{} items are too many for {}; it takes {}", dataset.items,
                            configuration.model().name, most_items));
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items;
  // What the item graph is learned from: without a gradient in all batches but an epoch's first.
  Arena& learned = program.arena("item_graph", model->main->settings());
  model->training->move(learned);
  model->schedule.decaying.push_back(&learned);
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  std::vector<HostCsr> frozen;
  const std::vector<Modality> modalities =
      begin_modalities(*model, learned, dataset, configuration, progress, frozen);
  const bool both = modalities.size() == 2;
  const Tensor modal_weight =
      both ? program.parameter(learned, "modal_weight", 1, 2, constant_value(0.5f)) : Tensor{};
  const auto graphs =
      std::make_shared<ItemGraphs>(*model, modalities, frozen, configuration.integer("knn_k"));
  model->schedule.begin_epoch = [graphs](std::int64_t) { graphs->begin_epoch(); };
  model->schedule.before_evaluation = [graphs] { graphs->before_evaluation(); };
  const Tensor kept_values =
      program.state("item_graph.values", 1, graphs->training.pattern().capacity, constant_value(0.0f));

  const HostCsr mean = mean_graph(dataset.train, true);
  const CsrView a = model->graphs.emplace_back(to_device(backend, mean)).view();
  const CsrView transposed = model->graphs.emplace_back(to_device(backend, transpose(mean))).view();
  const auto lambda = static_cast<float>(configuration.number("lambda_coeff"));
  PlugIn plug_in(configuration);

  const auto project = [&](Tape& tape) {
    std::vector<Tensor> projected;
    for (const Modality& modality : modalities) {
      projected.push_back(linear(tape, modality.features, modality.layer));
      plug_in.read(*model, tape, modality.name, projected.back());
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
    const double reg_weight = configuration.number("reg_weight"),
                 batch_size = static_cast<double>(configuration.integer("train_batch_size"));
    embedding_norm(tape, "norm", static_cast<float>(reg_weight / batch_size), EmbeddingNorm::half_squares,
                   embeddings.users, embeddings.items, model->batch);
  };

  // The first batch builds the graph, differentiates it and keeps its values; the others read them.
  Tape& first = *model->training;
  const Tensor values =
      item_graph_values(*model, first, graphs->training, project(first), modal_weight, lambda);
  copy(first, values, kept_values);
  record_losses(first, represent(first, graphs->training.pattern(), values));
  // The modules train the projections in every batch.
  Tape& other = plug_in.active()
                    ? further_training_tape(*model, dataset, "other batches", {model->main, &learned})
                    : further_training_tape(*model, dataset, "other batches", {model->main});
  if (plug_in.active()) project(other);
  record_losses(other, represent(other, graphs->training.pattern(), kept_values));
  plug_in.record(*model);
  Step& first_step = add_step(*model, "first batch", {&first});
  Step& other_step = plug_in.active() ? add_step(*model, "other batches", {&other})
                                      : add_step(*model, "other batches", {&other}, {&learned});
  model->schedule.choose = [&first_step, &other_step](std::int64_t, std::int64_t i) -> Step& {
    return i == 0 ? first_step : other_step;
  };

  Tape& evaluation = *model->evaluation;
  finish_model(*model, represent(evaluation, graphs->evaluation.pattern(),
                                 item_graph_values(*model, evaluation, graphs->evaluation,
                                                   project(evaluation), modal_weight, lambda)));
  return model;
}

}  // namespace

ModelDescription describe_lattice() {
  ModelDescription lattice;
  lattice.name = "lattice";
  lattice.summary = "an item graph learned from the features, built anew in every epoch";
  lattice.keys = common_keys(1e-3);
  for (Key& key : lattice.keys) {
    if (key.name == "learning_rate_scheduler") key.fallback = std::vector<double>{0.96, 50.0};
  }
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
  lattice.build = build;
  return lattice;
}

ModelDescription describe_lattice_sea() {
  ModelDescription lattice = with_plug_in(describe_lattice());
  lattice.check = [](const Configuration& configuration) {
    require_features(configuration);
    require_modalities(configuration);
    require_halves(configuration, "feat_embed_dim");
  };
  return lattice;
}

}  // namespace sea
