// VBPR (He and McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016), on
// all modalities there are, and with SEA's modules plugged in.

#include <algorithm>

#include "configuration/shared_keys.hpp"
#include "models/initial_values.hpp"
#include "models/plug_in.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

/// The modalities side by side, the textual one first; the host's copies are freed.
HostMatrix side_by_side(Dataset& dataset) {
  std::int64_t width = 0;
  for (const ItemFeatures& modality : dataset.features) width += modality.values.columns;
  HostMatrix all(dataset.items, width);
  std::int64_t column = 0;
  for (auto modality = dataset.features.rbegin(); modality != dataset.features.rend(); ++modality) {
    const HostMatrix& values = modality->values;
    for (std::int64_t item = 0; item < dataset.items; ++item) {
      std::copy_n(values.view().row(item), values.columns, all.view().row(item) + column);
    }
    column += values.columns;
    modality->values = {};
  }
  return all;
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&, bool keep_parts) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t e = configuration.integer("embedding_size");
  std::vector<std::pair<std::string, std::int64_t>> widths;
  for (const ItemFeatures& modality : dataset.features)
    widths.emplace_back(modality.modality, modality.values.columns);
  const HostMatrix raw = side_by_side(dataset);
  model->features.push_back(to_device(backend, raw.values));
  const Tensor features = program.constant(model->features.back().matrix(dataset.items, raw.columns));
  PlugIn plug_in(configuration, keep_parts);

  const auto represent = [&](Tape& tape) {
    const Tensor users =
        program.parameter(*model->main, "u_embedding", dataset.users, 2 * e, xavier_uniform());
    const Tensor free_items =
        program.parameter(*model->main, "i_embedding", dataset.items, e, xavier_uniform());
    const Tensor weight =
        program.parameter(*model->main, "item_linear.weight", e, raw.columns, xavier_normal());
    const Tensor bias = program.parameter(*model->main, "item_linear.bias", 1, e, constant_value(0.0f));
    const Tensor items = tape.activation(dataset.items, 2 * e);
    copy(tape, free_items, items.column_range(0, e));
    const Tensor content = items.column_range(e, e);
    if (!plug_in.active()) {
      linear(tape, features, weight, bias, content);
      return Embeddings{users, items};
    }
    Tensor sum = linear(tape, features, weight, bias);
    // Visual first, from the features' last columns on.
    std::int64_t column = raw.columns;
    for (std::size_t m = 0; m < widths.size(); ++m) {
      const auto& [name, width] = widths[m];
      column -= width;
      const LinearParameters layer = linear_parameters(*model, name + ".linear", width, e);
      const Tensor own = linear(tape, features.column_range(column, width), layer.weight, layer.bias);
      plug_in.read(*model, tape, name, own);
      const Tensor next = m + 1 == widths.size() ? content : tape.activation(dataset.items, e);
      add(tape, sum, own, next);
      sum = next;
    }
    return Embeddings{users, items};
  };
  const Embeddings embeddings = represent(*model->training);
  regularized_bpr(*model, configuration, embeddings, embeddings);
  plug_in.record(*model);
  finish_model(*model, represent(*model->evaluation));
  return model;
}

}  // namespace

ModelDescription describe_vbpr() {
  ModelDescription vbpr;
  vbpr.name = "vbpr";
  vbpr.summary = "half of an item's embedding free, half a linear layer on its features";
  vbpr.keys = common_keys(1e-3);
  vbpr.keys.push_back(
      number_key("reg_weight", 2.0, 0.0, 1e6, "weight of the norms of the batch's embeddings"));
  const std::vector<Key> features = feature_keys();
  vbpr.keys.insert(vbpr.keys.end(), features.begin(), features.end());
  vbpr.check = require_features;
  vbpr.files = feature_files;
  vbpr.build = without_parts(build);
  return vbpr;
}

ModelDescription describe_vbpr_sea() {
  return with_plug_in(describe_vbpr(), build);
}

}  // namespace sea
