// DualGNN (Wang et al., "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", IEEE Transactions
// on Multimedia 2021). As MMRec's dualgnn.py computes it.

#include <memory>

#include "configuration/shared_keys.hpp"
#include "data/cooccurrence.hpp"
#include "data/graph.hpp"
#include "models/initial_values.hpp"
#include "models/modules.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

/// Each user has at most so many neighbours to draw from.
constexpr std::int64_t longest_list = 200;

struct UserGraph {
  CsrView graph, transposed;
};

/// The user graph, drawn anew at the beginning of every epoch; evaluation reads the last one.
UserGraph upload_user_graph(Model& model, const Dataset& dataset, std::int64_t k) {
  Backend& backend = model.program.backend();
  const auto lists =
      std::make_shared<const Cooccurrence>(count_cooccurrence(dataset.train, longest_list, dataset.joined));
  const auto drawn = [lists, k, seed = model.program.seed()](std::int64_t epoch) {
    return sample_user_graph(*lists, k, seed, epoch);
  };
  const HostCsr first = drawn(0);
  DeviceCsr& graph = model.graphs.emplace_back(to_device(backend, first));
  DeviceCsr& transposed = model.graphs.emplace_back(to_device(backend, transpose(first)));
  model.schedule.begin_epoch = [&graph, &transposed, drawn](std::int64_t epoch) {
    const HostCsr next = drawn(epoch), next_transposed = transpose(next);
    graph.upload(next.row_offsets, next.column_indices, next.values);
    transposed.upload(next_transposed.row_offsets, next_transposed.column_indices, next_transposed.values);
  };
  return {graph.view(), transposed.view()};
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress& progress) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items,
                     e = configuration.integer("embedding_size"), hidden = 256;
  const CsrView graph = upload_interaction_graph(*model, dataset, 0.0, {}).whole;
  progress("users with common items");
  const UserGraph user_graph = upload_user_graph(*model, dataset, configuration.integer("user_neighbours"));

  struct Modality {
    std::string name;
    Tensor features, preference;
    LinearParameters first, second;
  };
  std::vector<Modality> modalities;
  for (ItemFeatures& features : dataset.features) {
    const std::string name = features.modality == "visual" ? "v" : "t";
    const std::int64_t width = features.values.columns;
    const Buffer<float>& raw = model->features.emplace_back(to_device(backend, features.values.values));
    features.values = {};
    modalities.push_back(
        {name, program.constant(raw.matrix(items, width)),
         program.parameter(*model->main, name + "_gcn.preference", users, e, xavier_normal()),
         linear_parameters(*model, name + "_gcn.MLP", width, hidden),
         linear_parameters(*model, name + "_gcn.MLP_1", hidden, e)});
  }
  const Tensor user_weight =
      program.parameter(*model->main, "weight_u", users, 2, softmax_of_xavier_normal());
  const Tensor item_weight =
      program.parameter(*model->main, "weight_i", items, 2, softmax_of_xavier_normal());

  const auto represent = [&](Tape& tape) {
    const auto count = static_cast<std::int64_t>(modalities.size());
    const Tensor nodes = tape.activation(users + items, count * e);
    for (std::int64_t m = 0; m < count; ++m) {
      const Modality& modality = modalities[static_cast<std::size_t>(m)];
      const Tensor own = nodes.column_range(m * e, e);
      row_normalize(tape, modality.preference, own.row_range(0, users));
      const Tensor tower = linear(
          tape, leaky_relu(tape, linear(tape, modality.features, modality.first), 0.01f), modality.second);
      row_normalize(tape, tower, own.row_range(users, items));
    }
    const Tensor propagated = propagate(tape, graph, graph, nodes, 2, Layers::all);
    Tensor sum = propagated, mixed = propagated.row_range(0, users);
    if (count == 2) {
      const Tensor visual = propagated.column_range(0, e), textual = propagated.column_range(e, e);
      sum = add(tape, visual, textual);
      // Users mix the sum with the textual rows, not the visual rows with them: MMRec's sum is in place.
      const Tensor parts = tape.activation(users, 2 * e);
      copy(tape, sum.row_range(0, users), parts.column_range(0, e));
      copy(tape, textual.row_range(0, users), parts.column_range(e, e));
      const Tensor weighted = modality_weight(tape, parts, user_weight);
      mixed = add(tape, weighted.column_range(0, e), weighted.column_range(e, e));
    }
    return Embeddings{propagate(tape, user_graph.graph, user_graph.transposed, mixed, 1, Layers::residual),
                      sum.row_range(users, items)};
  };

  Tape& tape = *model->training;
  const Embeddings embeddings = represent(tape);
  bpr(tape, "bpr", 1.0f, BprSum::mean_log2, embeddings.users, embeddings.items, model->batch);
  const auto reg_weight = static_cast<float>(configuration.number("reg_weight"));
  for (const Modality& modality : modalities) {
    matrix_norm(tape, "norm_" + modality.name, reg_weight,
                gather_rows(tape, modality.preference, model->batch, BatchRole::user),
                MatrixNorm::mean_square, 1.0, true);
  }
  matrix_norm(tape, "norm_weight_u", reg_weight, user_weight, MatrixNorm::mean_square, 1.0, false);
  matrix_norm(tape, "norm_weight_i", reg_weight, item_weight, MatrixNorm::mean_square, 1.0, false);
  finish_model(*model, represent(*model->evaluation));
  return model;
}

}  // namespace

ModelDescription describe_dualgnn() {
  ModelDescription dualgnn;
  dualgnn.name = "dualgnn";
  dualgnn.summary = "each modality propagated, then between users who share items";
  dualgnn.keys = common_keys(1e-3);
  const std::vector<Key> features = feature_keys();
  dualgnn.keys.insert(dualgnn.keys.end(), features.begin(), features.end());
  dualgnn.keys.push_back(
      integer_key("user_neighbours", 40, 1, longest_list, "neighbours of a user in the user graph"));
  dualgnn.keys.push_back(
      number_key("reg_weight", 1e-2, 0.0, 1e6, "weight of the squares of preferences and modality weights"));
  dualgnn.check = require_features;
  dualgnn.files = feature_files;
  dualgnn.build = build;
  return dualgnn;
}

}  // namespace sea
