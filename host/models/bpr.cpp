// BPR (Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009): matrix
// factorisation.

#include "models/initial_values.hpp"
#include "models/recording.hpp"
#include "models/registry.hpp"

namespace sea {

namespace {

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  const std::uint64_t seed = seed_of(configuration);
  const std::int64_t e = configuration.integer("embedding_size");
  const Tensor users = model->program.parameter("user_embedding.weight", dataset.users, e,
                                                xavier_normal(seed, e, dataset.users));
  const Tensor items = model->program.parameter("item_embedding.weight", dataset.items, e,
                                                xavier_normal(seed, e, dataset.items));
  regularized_bpr(*model, configuration, users, items, users, items);
  finish_model(*model, configuration, users, items);
  return model;
}

}  // namespace

ModelDescription describe_bpr() {
  ModelDescription bpr;
  bpr.name = "bpr";
  bpr.summary = "one free embedding a user and an item (matrix factorisation)";
  bpr.keys = common_keys(1e-3);
  bpr.keys.push_back(
      number_key("reg_weight", 0.1, 0.0, 1e6, "weight of the norms of the batch's embeddings"));
  bpr.build = build;
  return bpr;
}

}  // namespace sea
