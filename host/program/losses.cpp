// Draws, losses and the fit of q: the nodes that end a program.

#include "program/nodes.hpp"

namespace sea {

Batch sample_batch(Program& program, const SamplingView& sampling, std::uint64_t seed,
                   std::int64_t batch_size, std::int64_t users) {
  const Batch batch{{program.indices(batch_size), program.indices(batch_size), program.indices(batch_size)},
                    {program.indices(3 * batch_size), program.indices(3 * batch_size)}};
  program.on_sample([&program, sampling, seed, batch] {
    program.backend().sample_batch(sampling, seed, program.state(), batch.triples);
  });
  // The order depends on the batch alone; it is a node, so that a batch put there by hand is sorted too.
  program.add({.name = "sort_batch",
               .inputs = {},
               .outputs = {},
               .kept = {},
               .written_backward = {},
               .workspace = program.backend().sort_batch_workspace(batch_size),
               .concurrent = true,
               .forward =
                   [&program, batch, users](const NodeRun& run) {
                     run.backend().sort_batch(batch.triples, users, program.state(), batch.order,
                                              run.workspace());
                   },
               .backward = {}});
  return batch;
}

IndexView sample_permutation(Program& program, std::uint64_t seed, RandomPurpose purpose, std::int64_t size,
                             std::int64_t count) {
  const IndexView output = program.indices(count);
  program.on_sample([&program, seed, purpose, size, output] {
    program.backend().permutation(seed, purpose, program.state(), size, output);
  });
  return output;
}

void bpr(Program& program, const std::string& name, float weight, BprSum sum, Tensor users, Tensor items,
         const Batch& batch) {
  const int term = program.loss_term(name, weight);
  const auto batch_size = static_cast<std::int64_t>(batch.triples.users.size());
  program.add({.name = "bpr",
               .inputs = {users, items},
               .outputs = {},
               .kept = {},
               .written_backward = {},
               .workspace = program.backend().bpr_workspace(batch_size, users.columns),
               .is_loss = true,
               .forward =
                   [=, &program](const NodeRun& run) {
                     run.backend().bpr(run.value(users), run.value(items), batch.triples, batch.order,
                                       program.state(), sum, weight, program.loss_pointer(term),
                                       run.input_gradient(0), run.input_gradient(1), run.workspace());
                   },
               .backward = {}});
}

void embedding_norm(Program& program, const std::string& name, float weight, EmbeddingNorm norm, Tensor users,
                    Tensor items, const Batch& batch) {
  const int term = program.loss_term(name, weight);
  const auto batch_size = static_cast<std::int64_t>(batch.triples.users.size());
  program.add({.name = "embedding_norm",
               .inputs = {users, items},
               .outputs = {},
               .kept = {},
               .written_backward = {},
               .workspace = program.backend().embedding_norm_workspace(batch_size),
               .is_loss = true,
               .forward =
                   [=, &program](const NodeRun& run) {
                     run.backend().embedding_norm(run.value(users), run.value(items), batch.triples,
                                                  batch.order, program.state(), norm, weight,
                                                  program.loss_pointer(term), run.input_gradient(0),
                                                  run.input_gradient(1), run.workspace());
                   },
               .backward = {}});
}

void contrastive_alignment(Program& program, const std::string& name, float weight, Tensor text,
                           Tensor visual, float temperature, bool symmetric, ConstIndexView samples) {
  const int term = program.loss_term(name, weight);
  program.add({.name = "contrastive_alignment",
               .inputs = {text, visual},
               .outputs = {},
               .kept = {},
               .written_backward = {},
               .workspace = program.backend().contrastive_alignment_workspace(
                   text.rows, text.columns, static_cast<std::int64_t>(samples.size())),
               .is_loss = true,
               .forward =
                   [=, &program](const NodeRun& run) {
                     run.backend().contrastive_alignment(run.value(text), run.value(visual), temperature,
                                                         symmetric, samples, weight,
                                                         program.loss_pointer(term), run.input_gradient(0),
                                                         run.input_gradient(1), run.workspace());
                   },
               .backward = {}});
}

void club(Program& program, const std::string& name, float weight, Tensor generic, Tensor unique,
          ConstIndexView permutation, int fitted_q, std::int64_t hidden) {
  const int term = program.loss_term(name, weight);
  program.add({.name = "club",
               .inputs = {generic, unique},
               .outputs = {},
               .kept = {},
               .written_backward = {},
               .workspace = program.backend().club_workspace(generic.rows, generic.columns, hidden),
               .is_loss = true,
               .forward =
                   [=, &program](const NodeRun& run) {
                     const ParameterView q = program.fitted(fitted_q);
                     run.backend().club(
                         run.value(generic), run.value(unique), permutation,
                         {generic.columns, hidden, {q.value, static_cast<std::size_t>(q.size())}}, weight,
                         program.loss_pointer(term), run.input_gradient(0), run.input_gradient(1),
                         run.workspace());
                   },
               .backward = {}});
}

void l2_distance(Program& program, const std::string& name, float weight, Tensor generic, Tensor unique) {
  const int term = program.loss_term(name, weight);
  program.add({.name = "l2_distance",
               .inputs = {generic, unique},
               .outputs = {},
               .kept = {},
               .written_backward = {},
               .workspace = program.backend().l2_distance_workspace(generic.rows, generic.columns),
               .is_loss = true,
               .forward =
                   [=, &program](const NodeRun& run) {
                     run.backend().l2_distance(run.value(generic), run.value(unique), weight,
                                               program.loss_pointer(term), run.input_gradient(0),
                                               run.input_gradient(1), run.workspace());
                   },
               .backward = {}});
}

void club_fit(Program& program, const std::string& name, const std::vector<FitPair>& pairs, int fitted_q,
              std::int64_t hidden, std::int64_t steps, const AdamSettings& settings) {
  const int first_term = program.reported_terms(name, steps);
  std::vector<Tensor> inputs;
  for (const FitPair& pair : pairs) {
    inputs.push_back(pair.x);
    inputs.push_back(pair.y);
  }
  const Tensor& x = pairs.front().x;
  program.on_fit(inputs, program.backend().club_fit_workspace(x.rows, x.columns, hidden),
                 [=, &program](Workspace scratch) {
                   std::vector<PairView> views;
                   for (const FitPair& pair : pairs)
                     views.push_back({program.value(pair.x), program.value(pair.y)});
                   const ParameterView q = program.fitted(fitted_q);
                   const auto size = static_cast<std::size_t>(q.size());
                   program.backend().club_fit(
                       views, hidden, {q.value, size}, {q.first_moment, size}, {q.second_moment, size},
                       settings, program.state(),
                       {program.loss_pointer(first_term), static_cast<std::size_t>(steps)}, scratch);
                 });
}

}  // namespace sea
