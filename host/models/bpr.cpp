// BPR (Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009): matrix
// factorisation.

#include "configuration/registry.hpp"
#include "models/initial_values.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  const std::int64_t e = configuration.integer("embedding_size");
  Program& program = model->program;
  const Embeddings embeddings{
      program.parameter(*model->main, "user_embedding.weight", dataset.users, e, xavier_normal()),
      program.parameter(*model->main, "item_embedding.weight", dataset.items, e, xavier_normal())};
  regularized_bpr(*model, configuration, embeddings, embeddings);
  finish_model(*model, embeddings);
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
