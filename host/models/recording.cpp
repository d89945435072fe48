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
  const NeighbourLists lists{modality.fingerprint, features.rows, features.columns, knn_k};
  // What takes no tenth of a second is not worth a file.
  const bool costly =
      static_cast<double>(features.rows) * static_cast<double>(features.rows) * features.columns >= 1e10;
  const std::optional<std::filesystem::path> cache =
      costly && !modality.fingerprint.empty() ? cache_folder() : std::nullopt;
  if (cache) {
    if (const auto ids = read_neighbours(*cache, lists)) {
      progress(stage + ", kept from an earlier run");
      return neighbour_graph(*ids, features.rows, knn_k);
    }
  }
  progress(stage);
  const std::vector<std::int32_t> ids = nearest_neighbours(backend, features, knn_k);
  if (cache) keep_neighbours(*cache, lists, ids);
  return neighbour_graph(ids, features.rows, knn_k);
}

HostCsr item_graph(const std::vector<HostCsr>& graphs, float mm_image_weight) {
  return graphs.size() == 1 ? graphs.front() : blend(graphs.at(0), graphs.at(1), mm_image_weight);
}

std::uint64_t seed_of(const Configuration& configuration) {
  return static_cast<std::uint64_t>(configuration.integer("seed"));
}

std::unique_ptr<Model> begin_model(Backend& backend, const Dataset& dataset, std::int64_t train_batch_size,
                                   std::uint64_t seed) {
  auto model = std::make_unique<Model>(backend);
  model->sampling = DeviceSampling(backend, dataset.train);
  // Memory is not taken for what never comes.
  const std::int64_t batch_size = std::min(train_batch_size, dataset.train.nonzeros());
  model->batch = sample_batch(model->program, model->sampling.view(), seed, batch_size, dataset.users);
  return model;
}

std::unique_ptr<Model> begin_model(Backend& backend, const Dataset& dataset,
                                   const Configuration& configuration) {
  return begin_model(backend, dataset, configuration.integer("train_batch_size"), seed_of(configuration));
}

void finish_model(Model& model, double learning_rate, Tensor users, Tensor items) {
  model.users = users;
  model.items = items;
  model.program.mark_output(users);
  model.program.mark_output(items);
  AdamSettings adam;
  adam.learning_rate = learning_rate;
  model.program.finish(adam, model.sampling.pairs(),
                       static_cast<std::int64_t>(model.batch.triples.users.size()));
}

void finish_model(Model& model, const Configuration& configuration, Tensor users, Tensor items) {
  finish_model(model, configuration.number("learning_rate"), users, items);
}

Tensor node_embedding(Model& model, const Dataset& dataset, const Configuration& configuration) {
  return model.program.parameter("node_embedding", dataset.users + dataset.items,
                                 configuration.integer("embedding_size"),
                                 xavier_uniform_nodes(seed_of(configuration), dataset.users));
}

void regularized_bpr(Model& model, const Configuration& configuration, Tensor users, Tensor items,
                     Tensor reg_users, Tensor reg_items) {
  bpr(model.program, "bpr", 1.0f, BprSum::mean, users, items, model.batch);
  embedding_norm(model.program, "norm", static_cast<float>(configuration.number("reg_weight")),
                 EmbeddingNorm::norms, reg_users, reg_items, model.batch);
}

InteractionGraph upload_interaction_graph(Model& model, const Dataset& dataset, double dropout,
                                          const std::function<KeptPairs(std::int64_t)>& kept,
                                          std::uint64_t seed) {
  Backend& backend = model.program.backend();
  model.graphs.push_back(to_device(backend, interaction_graph(dataset.train)));
  const CsrView whole = model.graphs.back().view();
  if (dropout == 0.0) return {whole, whole};

  const std::int64_t count = kept_pair_count(dataset.train.nonzeros(), dropout);
  const auto pruned = [train = dataset.train, count, kept, seed](std::int64_t epoch) {
    return interaction_graph(prune_pairs(train, count, kept(epoch), seed, epoch));
  };
  const std::size_t place = model.graphs.size();
  model.graphs.push_back(to_device(backend, pruned(0)));
  model.begin_epoch = [&model, place, pruned](std::int64_t epoch) {
    const HostCsr graph = pruned(epoch);
    model.graphs[place].upload(graph.row_offsets, graph.column_indices, graph.values);
  };
  return {model.graphs[place].view(), whole};
}

}  // namespace sea
