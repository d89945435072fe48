#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "configuration/registry.hpp"
#include "data/pruning.hpp"
#include "models/model.hpp"

namespace sea {

// What the recordings of several models have in common.

DeviceCsr to_device(Backend& backend, const HostCsr& csr);

/// The neighbour graph of `modality`, whose features (items x width) are in device memory as well. Lists that
/// take a while to find are kept for later runs, see neighbour_cache.hpp.
HostCsr modality_graph(Backend& backend, const ItemFeatures& modality, ConstMatrixView features,
                       std::int64_t knn_k, const Progress& progress);
/// The item graph of one or two modalities, visual first.
HostCsr item_graph(const std::vector<HostCsr>& graphs, float mm_image_weight);

/// The neighbour graph of each modality and, of two, the item graph, named as ModelDescription::item_graphs.
std::vector<ItemNeighbours> neighbour_graphs(Backend& backend, const Dataset& dataset,
                                             const Configuration& configuration, const Progress& progress);

/// What every training has, see docs/configuration.md.
struct TrainingSettings {
  std::uint64_t seed = 999;
  std::int64_t train_batch_size = 2048;
  double learning_rate = 1e-4;
  double weight_decay = 0.0;
  bool decoupled = false;  ///< of the weight decay; no key: the model's
  double learning_rate_factor = 1.0, learning_rate_epochs = 50.0;  ///< `learning_rate_scheduler`
  Batches batches = Batches::pairs;                                ///< no key: the model's
  Negatives negatives = Negatives::training_items;                 ///< of pairs; no key: the model's
};
TrainingSettings training_settings(const Configuration& configuration);

/// A model with its sampler, its batch, the arena "main", a tape for training that moves it and draws
/// batches, and one for evaluation. A batch of pairs holds no more than the epoch.
std::unique_ptr<Model> begin_model(Backend& backend, const Dataset& dataset,
                                   const TrainingSettings& settings);
std::unique_ptr<Model> begin_model(Backend& backend, const Dataset& dataset,
                                   const Configuration& configuration);
/// One more tape that draws and reads batches, for steps of another kind.
Tape& further_training_tape(Model& model, const Dataset& dataset, const std::string& name,
                            std::vector<Arena*> moves);
/// A step over the model's training pairs; the first one that is added is the schedule's, see Program::step.
Step& add_step(Model& model, const std::string& name, std::vector<Tape*> tapes,
               std::vector<Arena*> without_gradient = {});

/// The representations of users and of items, equally wide.
struct Embeddings {
  Tensor users, items;
};
/// Names the representations, which lie in the evaluation tape; makes the step of the training tape where
/// none has been added, and allocates.
void finish_model(Model& model, const Embeddings& embeddings);

/// Trained rows of all users and then all items, Xavier uniform in either part, under "node_embedding".
Tensor node_embedding(Model& model, const Dataset& dataset, const Configuration& configuration);

/// The loss of BPR in natural logarithms, "bpr", and `reg_weight` times the norms of the batch's rows of
/// `regularized`, "norm".
void regularized_bpr(Model& model, const Configuration& configuration, const Embeddings& embeddings,
                     const Embeddings& regularized);

/// The interaction graph as training reads it and as evaluation does; in memory of the model.
struct InteractionGraph {
  CsrView training, whole;
};
/// Without `dropout` both are one graph. Else training has its pairs pruned anew at the beginning of every
/// epoch, see prune_pairs, and the rest normalised by its own degrees; `kept` is asked for each epoch.
InteractionGraph upload_interaction_graph(Model& model, const Dataset& dataset, double dropout,
                                          const std::function<KeptPairs(std::int64_t epoch)>& kept);

}  // namespace sea
