#include "models/recording.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "data/graph.hpp"
#include "data/neighbour_cache.hpp"
#include "data/neighbours.hpp"
#include "models/initial_values.hpp"

namespace sea {

DeviceCsr to_device(Backend& backend, const HostCsr& csr) {
  return {backend, csr.rows, csr.columns, csr.row_offsets, csr.column_indices, csr.values};
}

HostCsr modality_graph(Backend& backend, const ItemFeatures& modality, ConstMatrixView features,
                       std::int64_t knn_k, const Progress& progress) {
  const std::string stage = fmt::format("neighbours of {}", modality.file.filename().string());
  const std::int64_t known = features.rows - modality.new_rows;
  const NeighbourLists lists{modality.fingerprint, known, features.columns, knn_k};
  const auto graph_of = [&](std::vector<std::int32_t> ids) {
    if (modality.new_rows > 0) {
      const std::vector<std::int32_t> more =
          neighbours_of_new_rows(backend, features, knn_k, modality.new_rows);
      ids.insert(ids.end(), more.begin(), more.end());
    }
    return neighbour_graph(ids, features.rows, knn_k);
  };
  // What takes no tenth of a second is not worth a file.
  const bool costly = static_cast<double>(known) * static_cast<double>(known) * features.columns >= 1e10;
  const std::optional<std::filesystem::path> cache =
      costly && !modality.fingerprint.empty() ? cache_folder() : std::nullopt;
  if (cache) {
    if (const auto ids = read_neighbours(*cache, lists)) {
      progress(stage + ", kept from an earlier run");
      return graph_of(*ids);
    }
  }
  progress(stage);
  const std::vector<std::int32_t> ids = nearest_neighbours(backend, features.row_range(0, known), knn_k);
  if (cache) keep_neighbours(*cache, lists, ids);
  return graph_of(ids);
}

HostCsr item_graph(const std::vector<HostCsr>& graphs, float mm_image_weight) {
  return graphs.size() == 1 ? graphs.front() : blend(graphs.at(0), graphs.at(1), mm_image_weight);
}

std::vector<ItemNeighbours> neighbour_graphs(Backend& backend, const Dataset& dataset,
                                             const Configuration& configuration, const Progress& progress) {
  std::vector<ItemNeighbours> graphs;
  std::vector<HostCsr> modalities;
  for (const ItemFeatures& modality : dataset.features) {
    const Buffer<float> features = to_device(backend, modality.values.values);
    modalities.push_back(modality_graph(backend, modality,
                                        features.matrix(dataset.items, modality.values.columns),
                                        configuration.integer("knn_k"), progress));
    graphs.push_back({modality.modality, modalities.back()});
  }
  if (graphs.size() == 2) {
    const auto weight = static_cast<float>(configuration.number("mm_image_weight"));
    graphs.push_back({"combined", item_graph(modalities, weight)});
  }
  return graphs;
}

TrainingSettings training_settings(const Configuration& configuration) {
  TrainingSettings settings;
  settings.seed = static_cast<std::uint64_t>(configuration.integer("seed"));
  settings.train_batch_size = configuration.integer("train_batch_size");
  settings.learning_rate = configuration.number("learning_rate");
  settings.weight_decay = configuration.number("weight_decay");
  const std::vector<double> schedule = configuration.numbers("learning_rate_scheduler");
  settings.learning_rate_factor = schedule.at(0);
  settings.learning_rate_epochs = schedule.at(1);
  return settings;
}

namespace {

void draw_batches(Model& model, Tape& tape, std::int64_t users) {
  if (model.batches == Batches::users) {
    sample_user_batch(tape, model.sampling.user_view(), model.batch);
  } else {
    sample_batch(tape, model.sampling.view(), model.batch);
  }
  sort_batch(tape, model.batch, users);
}

}  // namespace

std::unique_ptr<Model> begin_model(Backend& backend, const Dataset& dataset,
                                   const TrainingSettings& settings) {
  auto model = std::make_unique<Model>(backend, settings.seed);
  Program& program = model->program;
  ArenaSettings arena;
  arena.learning_rate = settings.learning_rate;
  arena.adam.weight_decay = settings.weight_decay;
  arena.adam.decoupled = settings.decoupled;
  model->main = &program.arena("main", arena);
  model->training = &program.tape("training", {model->main});
  model->evaluation = &program.tape("evaluation", {});
  model->schedule.decaying = {model->main};
  model->schedule.learning_rate_factor = settings.learning_rate_factor;
  model->schedule.learning_rate_epochs = settings.learning_rate_epochs;

  model->sampling = DeviceSampling(backend, dataset.train, settings.negatives);
  model->batches = settings.batches;
  std::int64_t batch_size = settings.train_batch_size;
  if (model->batches == Batches::users) {
    model->epoch_pairs = (dataset.train.nonzeros() / batch_size + 1) * batch_size;
  } else {
    model->epoch_pairs = model->sampling.pairs();
    // Memory is not taken for what never comes.
    batch_size = std::min(batch_size, dataset.train.nonzeros());
  }
  model->batch = make_batch(program, batch_size);
  draw_batches(*model, *model->training, dataset.users);
  return model;
}

std::unique_ptr<Model> begin_model(Backend& backend, const Dataset& dataset,
                                   const Configuration& configuration) {
  return begin_model(backend, dataset, training_settings(configuration));
}

Tape& further_training_tape(Model& model, const Dataset& dataset, const std::string& name,
                            std::vector<Arena*> moves) {
  Tape& tape = model.program.tape(name, std::move(moves));
  draw_batches(model, tape, dataset.users);
  return tape;
}

Step& add_step(Model& model, const std::string& name, std::vector<Tape*> tapes,
               std::vector<Arena*> without_gradient) {
  const std::int64_t pairs = model.epoch_pairs, batch_size = model.batch.users.count;
  Step& step = model.program.step(name, std::move(tapes), pairs, batch_size, std::move(without_gradient));
  if (model.schedule.step == nullptr) {
    model.schedule.step = &step;
    model.schedule.steps = (pairs + batch_size - 1) / batch_size;
  }
  return step;
}

void finish_model(Model& model, const Embeddings& embeddings) {
  model.users = embeddings.users;
  model.items = embeddings.items;
  model.evaluation->keep(model.users);
  model.evaluation->keep(model.items);
  for (const auto& [name, part] : model.parts) model.evaluation->keep(part);
  if (model.schedule.step == nullptr) add_step(model, "step", {model.training});
  model.program.allocate();
}

Tensor node_embedding(Model& model, const Dataset& dataset, const Configuration& configuration) {
  return model.program.parameter(*model.main, "node_embedding", dataset.users + dataset.items,
                                 configuration.integer("embedding_size"),
                                 xavier_uniform_nodes(dataset.users));
}

void regularized_bpr(Model& model, const Configuration& configuration, const Embeddings& embeddings,
                     const Embeddings& regularized) {
  bpr(*model.training, "bpr", 1.0f, BprSum::mean, embeddings.users, embeddings.items, model.batch);
  embedding_norm(*model.training, "norm", static_cast<float>(configuration.number("reg_weight")),
                 EmbeddingNorm::norms, regularized.users, regularized.items, model.batch);
}

InteractionGraph upload_interaction_graph(Model& model, const Dataset& dataset, double dropout,
                                          const std::function<KeptPairs(std::int64_t)>& kept) {
  Backend& backend = model.program.backend();
  const CsrView whole =
      model.graphs.emplace_back(to_device(backend, interaction_graph(dataset.train, dataset.joined))).view();
  if (dropout == 0.0) return {whole, whole};

  const std::int64_t count = kept_pair_count(dataset.train.nonzeros(), dropout);
  const auto pruned = [train = dataset.train, count, kept, seed = model.program.seed()](std::int64_t epoch) {
    return interaction_graph(prune_pairs(train, count, kept(epoch), seed, epoch));
  };
  DeviceCsr& training = model.graphs.emplace_back(to_device(backend, pruned(0)));
  model.schedule.begin_epoch = [&training, pruned](std::int64_t epoch) {
    const HostCsr graph = pruned(epoch);
    training.upload(graph.row_offsets, graph.column_indices, graph.values);
  };
  return {training.view(), whole};
}

}  // namespace sea
