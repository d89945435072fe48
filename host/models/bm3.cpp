// BM3 (Zhou et al., "Bootstrap Latent Representations for Multi-modal Recommendation", WWW 2023), and with
// SEA's modules plugged in. As MMRec's bm3.py computes it.

#include "configuration/shared_keys.hpp"
#include "models/initial_values.hpp"
#include "models/plug_in.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

/// Records what makes a batch's rows of a table into the two sides of the loss.
class Bootstrap {
 public:
  Bootstrap(Model& model, const LinearParameters& predictor, double dropout)
      : model_(model), predictor_(predictor), dropout_(static_cast<float>(dropout)) {}

  /// What the predictor makes of rows (batch x e).
  Tensor online(Tensor rows) const { return linear(*model_.training, rows, predictor_); }
  /// The rows under a mask of the whole table of `size` rows, so that a row has one mask in a step. `stream`
  /// tells the tables' masks apart.
  Tensor target(Tensor rows, std::int64_t size, BatchRole role, std::uint32_t stream,
                const std::string& name) const {
    if (dropout_ == 0.0f) return rows;
    Tape& tape = *model_.training;
    const Tensor mask = dropout_mask(tape, size, rows.columns, dropout_, stream);
    model_.values["dropout_" + name] = mask;
    return multiply(tape, rows, gather_rows(tape, mask, model_.batch, role));
  }

 private:
  Model& model_;
  LinearParameters predictor_;
  float dropout_;
};

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&, bool keep_parts) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items,
                     e = configuration.integer("embedding_size");
  const CsrView graph = upload_interaction_graph(*model, dataset, 0.0, {}).whole;
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const LinearParameters predictor = linear_parameters(*model, "predictor", e, e, xavier_normal());
  // The propagated users, and the propagated items with their embeddings added.
  const auto represent = [&](Tape& tape) {
    const Tensor mean = propagate(tape, graph, graph, nodes, configuration.integer("n_layers"), Layers::mean);
    return Embeddings{mean.row_range(0, users),
                      add(tape, mean.row_range(users, items), nodes.row_range(users, items))};
  };

  Tape& tape = *model->training;
  const Batch& batch = model->batch;
  const Bootstrap bootstrap(*model, predictor, configuration.number("dropout"));
  const Embeddings whole = represent(tape);
  const Tensor user_rows = gather_rows(tape, whole.users, batch, BatchRole::user);
  const Tensor item_rows = gather_rows(tape, whole.items, batch, BatchRole::positive, users);
  const Tensor user_target = bootstrap.target(user_rows, users, BatchRole::user, 0, "user");
  const Tensor item_target = bootstrap.target(item_rows, items, BatchRole::positive, 1, "item");
  cosine_loss(tape, "user_item", 1.0f, bootstrap.online(user_rows), item_target);
  cosine_loss(tape, "item_user", 1.0f, bootstrap.online(item_rows), user_target);

  const auto cl_weight = static_cast<float>(configuration.number("cl_weight"));
  PlugIn plug_in(configuration, keep_parts);
  for (ItemFeatures& modality : dataset.features) {
    const bool visual = modality.modality == "visual";
    const std::string name = visual ? "image" : "text";
    const std::int64_t width = modality.values.columns;
    const Tensor features = program.parameter(*model->main, name + "_embedding.weight", items, width,
                                              given_values(std::move(modality.values.values)));
    const LinearParameters layer = linear_parameters(*model, name + "_trs", width, e, xavier_normal());
    Tensor rows;
    if (plug_in.active()) {  // its modules read all items
      const Tensor projected = linear(tape, features, layer);
      plug_in.read(*model, tape, modality.modality, projected);
      if (plug_in.keeps_parts())  // ranking reads no projection
        plug_in.read(*model, *model->evaluation, modality.modality,
                     linear(*model->evaluation, features, layer));
      rows = gather_rows(tape, projected, batch, BatchRole::positive, users);
    } else {
      rows = linear(tape, gather_rows(tape, features, batch, BatchRole::positive, users), layer);
    }
    const Tensor online = bootstrap.online(rows);
    cosine_loss(tape, name + "_item", cl_weight, online, item_target);
    cosine_loss(tape, name, cl_weight, online,
                bootstrap.target(rows, items, BatchRole::positive, visual ? 2 : 3, name));
  }
  const auto reg_weight = static_cast<float>(configuration.number("reg_weight"));
  const auto divisor = static_cast<double>(items);
  matrix_norm(tape, "norm_users", reg_weight, whole.users, MatrixNorm::frobenius, divisor, false);
  matrix_norm(tape, "norm_items", reg_weight, whole.items, MatrixNorm::frobenius, divisor, false);
  plug_in.record(*model);

  Tape& evaluation = *model->evaluation;
  const Embeddings ranked = represent(evaluation);
  finish_model(*model,
               {linear(evaluation, ranked.users, predictor), linear(evaluation, ranked.items, predictor)});
  return model;
}

}  // namespace

ModelDescription describe_bm3() {
  ModelDescription bm3;
  bm3.name = "bm3";
  bm3.summary = "users, items and modalities pulled to masked copies of each other, without negatives";
  bm3.keys = common_keys(1e-3);
  const std::vector<Key> features = feature_keys();
  bm3.keys.insert(bm3.keys.end(), features.begin(), features.end());
  bm3.keys.push_back(integer_key("n_layers", 2, 1, 64, "propagations on the interaction graph"));
  bm3.keys.push_back(number_key("cl_weight", 2.0, 0.0, 1e6, "weight of the losses of the modalities"));
  bm3.keys.push_back(number_key("dropout", 0.5, 0.0, 0.99, "share of a target's elements that are 0"));
  bm3.keys.push_back(number_key("reg_weight", 0.01, 0.0, 1e6, "weight of the norms of users and items"));
  bm3.check = require_features;
  bm3.files = feature_files;
  bm3.build = without_parts(build);
  return bm3;
}

ModelDescription describe_bm3_sea() {
  return with_plug_in(describe_bm3(), build);
}

}  // namespace sea
