// SLMRec (Tao et al., "Self-supervised Learning for Multimedia Recommendation", IEEE Transactions on
// Multimedia 2022), its task FAC, and with SEA's modules plugged in. As MMRec's slmrec.py computes it.

#include <fmt/format.h>

#include "configuration/shared_keys.hpp"
#include "models/initial_values.hpp"
#include "models/plug_in.hpp"
#include "models/recording.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// The unit rows of a modality's features, which are freed on the host.
Tensor unit_features(Model& model, ItemFeatures& modality) {
  Backend& backend = model.program.backend();
  const std::int64_t rows = modality.values.rows, width = modality.values.columns;
  const Buffer<float> raw = to_device(backend, modality.values.values);
  modality.values = {};
  const Buffer<float> inverse_norms(backend, rows);
  const MatrixView unit = model.features.emplace_back(backend, rows * width).matrix(rows, width);
  backend.row_normalize(raw.matrix(rows, width), unit, inverse_norms.span());
  backend.synchronize();
  return model.program.constant(unit);
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&, bool keep_parts) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items,
                     e = configuration.integer("embedding_size");
  const CsrView graph = upload_interaction_graph(*model, dataset, 0.0, {}).whole;
  const Tensor user_embedding =
      program.parameter(*model->main, "embedding_user.weight", users, e, xavier_uniform());
  const Tensor item_embedding =
      program.parameter(*model->main, "embedding_item.weight", items, e, xavier_uniform());
  const Tensor visual = unit_features(*model, dataset.features.at(0)),
               textual = unit_features(*model, dataset.features.at(1));
  const auto layer = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    return linear_parameters(*model, name, in, out, xavier_uniform());
  };
  const LinearParameters visual_dense = layer("v_dense", visual.columns, e),
                         textual_dense = layer("t_dense", textual.columns, e),
                         item_layer = layer("embedding_item_after_GCN", 3 * e, e),
                         user_layer = layer("embedding_user_after_GCN", 3 * e, e);
  PlugIn plug_in(configuration, keep_parts);

  // [N_i | N_v | N_t]: the three propagations side by side, each on the same user rows.
  const auto propagated = [&](Tape& tape) {
    const Tensor nodes = tape.activation(users + items, 3 * e);
    const Tensor item_rows = nodes.row_range(users, items);
    for (std::int64_t part = 0; part < 3; ++part)
      copy(tape, user_embedding, nodes.row_range(0, users).column_range(part * e, e));
    copy(tape, item_embedding, item_rows.column_range(0, e));
    linear(tape, visual, visual_dense.weight, visual_dense.bias, item_rows.column_range(e, e));
    linear(tape, textual, textual_dense.weight, textual_dense.bias, item_rows.column_range(2 * e, e));
    plug_in.read(*model, tape, "visual", item_rows.column_range(e, e));
    plug_in.read(*model, tape, "textual", item_rows.column_range(2 * e, e));
    return propagate(tape, graph, graph, nodes, configuration.integer("layer_num"), Layers::mean);
  };

  Tape& tape = *model->training;
  const Tensor rows = propagated(tape);
  const Tensor user_rows = gather_rows(tape, rows.row_range(0, users), model->batch, BatchRole::user);
  const Tensor item_rows =
      gather_rows(tape, rows.row_range(users, items), model->batch, BatchRole::positive, users);
  const auto contrast = [&](const std::string& name, double weight, double temperature, Tensor x, Tensor y) {
    contrastive(tape, name, static_cast<float>(weight), x, y, {},
                {.temperature = static_cast<float>(temperature)}, true);
  };
  contrast("main", 1.0, configuration.number("temp"),
           row_normalize(tape, linear(tape, user_rows, user_layer)),
           row_normalize(tape, linear(tape, item_rows, item_layer)));
  const double ssl_alpha = configuration.number("ssl_alpha"), ssl_temp = configuration.number("ssl_temp");
  const auto read = [&](const std::string& name, Tensor x, std::int64_t out) {
    return linear(tape, x, layer(name, e, out));
  };
  const Tensor item = read("g_i_iv", item_rows.column_range(0, e), e);
  contrast("fac_visual", ssl_alpha, ssl_temp, item, read("g_v_iv", item_rows.column_range(e, e), e));
  contrast("fac_textual", ssl_alpha, ssl_temp, read("g_iva_ivat", read("g_iv_iva", item, e), e / 2),
           read("g_t_ivat", item_rows.column_range(2 * e, e), e / 2));
  plug_in.record(*model);

  Tape& evaluation = *model->evaluation;
  const Tensor all = propagated(evaluation);
  finish_model(*model, {linear(evaluation, all.row_range(0, users), user_layer),
                        linear(evaluation, all.row_range(users, items), item_layer)});
  return model;
}

void check(const Configuration& configuration) {
  require_both_features(configuration);
  if (configuration.integer("embedding_size") < 2) {
    throw UsageError(
        fmt::format("embedding_size is 1; {} has layers of half that width, so it must be at least 2",
                    configuration.model().name));
  }
}

}  // namespace

ModelDescription describe_slmrec() {
  ModelDescription slmrec;
  slmrec.name = "slmrec";
  slmrec.summary = "contrast of users with items in the batch, and of an item's modalities with each other";
  slmrec.keys = common_keys(1e-3);
  for (Key& key : slmrec.keys) {
    if (key.name == "weight_decay") key.fallback = 1e-4;
  }
  const std::vector<Key> features = feature_keys();
  slmrec.keys.insert(slmrec.keys.end(), features.begin(), features.end());
  slmrec.keys.push_back(integer_key("layer_num", 3, 1, 64, "propagations on the interaction graph"));
  slmrec.keys.push_back(number_key("temp", 0.2, 1e-3, 1e6, "temperature of the contrast of users and items"));
  slmrec.keys.push_back(number_key("ssl_temp", 0.1, 1e-3, 1e6, "temperature between the modalities"));
  slmrec.keys.push_back(number_key("ssl_alpha", 0.1, 0.0, 1e6, "weight of the contrast of the modalities"));
  slmrec.check = check;
  slmrec.files = feature_files;
  slmrec.build = without_parts(build);
  return slmrec;
}

ModelDescription describe_slmrec_sea() {
  ModelDescription slmrec = with_plug_in(describe_slmrec(), build);
  slmrec.check = [plugged = slmrec.check](const Configuration& configuration) {
    check(configuration);
    plugged(configuration);
  };
  return slmrec;
}

}  // namespace sea
