// Losses, and the fit of q.

#include "program/batch_views.hpp"
#include "program/nodes.hpp"

namespace sea {

void bpr(Tape& tape, const std::string& name, float weight, BprSum sum, Tensor users, Tensor items,
         const Batch& batch) {
  const int term = tape.loss_term(name, weight);
  const std::int64_t batch_size = batch.users.count;
  tape.add({
      .name = "bpr",
      .inputs = {users, items},
      .index_reads = triples_and_order(batch),
      .workspace = tape.backend().bpr_workspace(batch_size, users.columns),
      .is_loss = true,
      .forward =
          [=](const NodeRun& run) {
            run.backend().bpr(run.value(users), run.value(items), view(run, batch), order_view(run, batch),
                              run.step(), sum, weight, run.loss(term), run.input_gradient(0),
                              run.input_gradient(1), run.workspace());
          },
  });
}

void embedding_norm(Tape& tape, const std::string& name, float weight, EmbeddingNorm norm, Tensor users,
                    Tensor items, const Batch& batch) {
  const int term = tape.loss_term(name, weight);
  const std::int64_t batch_size = batch.users.count;
  tape.add({
      .name = "embedding_norm",
      .inputs = {users, items},
      .index_reads = triples_and_order(batch),
      .workspace = tape.backend().embedding_norm_workspace(batch_size),
      .is_loss = true,
      .forward =
          [=](const NodeRun& run) {
            run.backend().embedding_norm(run.value(users), run.value(items), view(run, batch),
                                         order_view(run, batch), run.step(), norm, weight, run.loss(term),
                                         run.input_gradient(0), run.input_gradient(1), run.workspace());
          },
  });
}

void contrastive_alignment(Tape& tape, const std::string& name, float weight, Tensor text, Tensor visual,
                           float temperature, bool symmetric, Indices samples) {
  const int term = tape.loss_term(name, weight);
  tape.add({
      .name = "contrastive_alignment",
      .inputs = {text, visual},
      .index_reads = samples.empty() ? std::vector<Indices>{} : std::vector<Indices>{samples},
      .workspace = tape.backend().contrastive_alignment_workspace(text.rows, text.columns, samples.count),
      .is_loss = true,
      .forward =
          [=](const NodeRun& run) {
            run.backend().contrastive_alignment(
                run.value(text), run.value(visual), temperature, symmetric, run.indices(samples), weight,
                run.loss(term), run.input_gradient(0), run.input_gradient(1), run.workspace());
          },
  });
}

namespace {

const StepState* limit(const NodeRun& run, bool batch_rows) {
  return batch_rows ? run.step() : nullptr;
}

}  // namespace

void matrix_norm(Tape& tape, const std::string& name, float weight, Tensor x, MatrixNorm norm, double divisor,
                 bool batch_rows) {
  const int term = tape.loss_term(name, weight);
  tape.add({.name = "matrix_norm",
            .inputs = {x},
            .workspace = tape.backend().matrix_norm_workspace(x.rows, x.columns),
            .is_loss = true,
            .forward = [=](const NodeRun& run) {
              run.backend().matrix_norm(run.value(x), norm, divisor, limit(run, batch_rows), weight,
                                        run.loss(term), run.input_gradient(0), run.workspace());
            }});
}

void reduce(Tape& tape, const std::string& name, float weight, Tensor x, Reduction reduction,
            bool batch_rows) {
  const int term = tape.loss_term(name, weight);
  tape.add({.name = "reduce",
            .inputs = {x},
            .workspace = tape.backend().reduce_workspace(x.rows, x.columns),
            .is_loss = true,
            .forward = [=](const NodeRun& run) {
              run.backend().reduce(run.value(x), reduction, limit(run, batch_rows), weight, run.loss(term),
                                   run.input_gradient(0), run.workspace());
            }});
}

void decoder_loss(Tape& tape, const std::string& name, float weight, Tensor cosines, float temperature) {
  const int term = tape.loss_term(name, weight);
  tape.add({.name = "decoder_loss", .inputs = {cosines}, .is_loss = true, .forward = [=](const NodeRun& run) {
              run.backend().decoder_loss(run.value(cosines), temperature, run.step(), weight, run.loss(term),
                                         run.input_gradient(0));
            }});
}

void contrastive(Tape& tape, const std::string& name, float weight, Tensor queries, Tensor keys,
                 Indices positives, const ContrastiveSettings& settings, bool batch_rows) {
  const int term = tape.loss_term(name, weight);
  tape.add({.name = "contrastive",
            .inputs = {queries, keys},
            .index_reads = positives.empty() ? std::vector<Indices>{} : std::vector<Indices>{positives},
            .workspace = tape.backend().contrastive_workspace(queries.rows, keys.rows, queries.columns,
                                                              settings.intra),
            .is_loss = true,
            .forward = [=](const NodeRun& run) {
              run.backend().contrastive(run.value(queries), run.value(keys), run.indices(positives), settings,
                                        limit(run, batch_rows), weight, run.loss(term), run.input_gradient(0),
                                        run.input_gradient(1), run.workspace());
            }});
}

void cosine_loss(Tape& tape, const std::string& name, float weight, Tensor x, Tensor target) {
  const int term = tape.loss_term(name, weight);
  tape.add({.name = "cosine_loss",
            .inputs = {x},
            .constants = {target},
            .workspace = tape.backend().cosine_loss_workspace(x.rows),
            .is_loss = true,
            .forward = [=](const NodeRun& run) {
              run.backend().cosine_loss(run.value(x), run.value(target), run.step(), weight, run.loss(term),
                                        run.input_gradient(0), run.workspace());
            }});
}

namespace {

/// The network's parameters lie one behind the other: the first one's place is that of all.
VectorView whole(const NodeRun& run, const VariationalNetwork& q) {
  std::int64_t size = 0;
  for (const Tensor& parameter : q.parameters) size += parameter.size();
  return {run.value(q.parameters.front()).data, static_cast<std::size_t>(size)};
}

}  // namespace

void club(Tape& tape, const std::string& name, float weight, Tensor generic, Tensor unique,
          Indices permutation, const VariationalNetwork& q) {
  const int term = tape.loss_term(name, weight);
  tape.add({.name = "club",
            .inputs = {generic, unique},
            .constants = q.parameters,
            .index_reads = {permutation},
            .workspace = tape.backend().club_workspace(generic.rows, generic.columns, q.hidden),
            .is_loss = true,
            .forward = [=](const NodeRun& run) {
              run.backend().club(run.value(generic), run.value(unique), run.indices(permutation),
                                 {generic.columns, q.hidden, whole(run, q)}, weight, run.loss(term),
                                 run.input_gradient(0), run.input_gradient(1), run.workspace());
            }});
}

void l2_distance(Tape& tape, const std::string& name, float weight, Tensor generic, Tensor unique) {
  const int term = tape.loss_term(name, weight);
  tape.add({
      .name = "l2_distance",
      .inputs = {generic, unique},
      .workspace = tape.backend().l2_distance_workspace(generic.rows, generic.columns),
      .is_loss = true,
      .forward =
          [=](const NodeRun& run) {
            run.backend().l2_distance(run.value(generic), run.value(unique), weight, run.loss(term),
                                      run.input_gradient(0), run.input_gradient(1), run.workspace());
          },
  });
}

void club_fit(Tape& tape, const std::string& name, const std::vector<FitPair>& pairs,
              const VariationalNetwork& q, std::int64_t steps) {
  const int first_term = tape.reported_terms(name, steps);
  std::vector<Tensor> inputs;
  for (const FitPair& pair : pairs) {
    inputs.push_back(pair.x);
    inputs.push_back(pair.y);
  }
  const Tensor& x = pairs.front().x;
  tape.add({.name = "club_fit",
            .inputs = inputs,
            .updates = q.parameters,
            .workspace = tape.backend().club_fit_workspace(x.rows, x.columns, q.hidden),
            .stream = Stream::narrow,
            .forward = [=](const NodeRun& run) {
              std::vector<PairView> views;
              for (const FitPair& pair : pairs) views.push_back({run.value(pair.x), run.value(pair.y)});
              const OptimizedParameter first = run.optimized(q.parameters.front());
              const VectorView parameters = whole(run, q);
              run.backend().club_fit(
                  views, q.hidden, parameters, {first.first_moment.data, parameters.size()},
                  {first.second_moment.data, parameters.size()}, first.settings, first.state,
                  {run.loss(first_term), static_cast<std::size_t>(steps)}, run.workspace());
            }});
}

}  // namespace sea
