// VBPR (He and McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016), on
// all modalities there are, and with SEA's modules plugged in.

#include <algorithm>

#include "models/initial_values.hpp"
#include "models/plug_in.hpp"
#include "models/recording.hpp"
#include "models/shared_keys.hpp"

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
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::uint64_t seed = seed_of(configuration);
  const std::int64_t e = configuration.integer("embedding_size");
  std::vector<std::pair<std::string, std::int64_t>> widths;
  for (const ItemFeatures& modality : dataset.features)
    widths.emplace_back(modality.modality, modality.values.columns);
  const HostMatrix raw = side_by_side(dataset);
  model->features.push_back(to_device(backend, raw.values));
  const Tensor features = program.constant(model->features.back().matrix(dataset.items, raw.columns));

  const Tensor users =
      program.parameter("u_embedding", dataset.users, 2 * e, xavier_uniform(seed, 2 * e, dataset.users));
  const Tensor free_items =
      program.parameter("i_embedding", dataset.items, e, xavier_uniform(seed, e, dataset.items));
  const Tensor weight =
      program.parameter("item_linear.weight", e, raw.columns, xavier_normal(seed, raw.columns, e));
  const Tensor bias = program.parameter("item_linear.bias", 1, e, constant_value(0.0f));
  const Tensor items = program.activation(dataset.items, 2 * e);
  copy(program, free_items, items.column_range(0, e));
  const Tensor content = items.column_range(e, e);
  PlugIn plug_in(configuration);
  if (!plug_in.active()) {
    linear(program, features, weight, bias, content);
  } else {
    Tensor sum = linear(program, features, weight, bias);
    // Visual first, from the features' last columns on.
    std::int64_t column = raw.columns;
    for (std::size_t m = 0; m < widths.size(); ++m) {
      const auto& [name, width] = widths[m];
      column -= width;
      const LinearParameters layer = linear_parameters(program, name + ".linear", width, e, seed);
      const Tensor own = linear(program, features.column_range(column, width), layer.weight, layer.bias);
      plug_in.read(program, name, own);
      const Tensor next = m + 1 == widths.size() ? content : program.activation(dataset.items, e);
      add(program, sum, own, next);
      sum = next;
    }
  }
  regularized_bpr(*model, configuration, users, items, users, items);
  plug_in.record(*model);
  finish_model(*model, configuration, users, items);
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
  vbpr.build = build;
  return vbpr;
}

ModelDescription describe_vbpr_sea() {
  return with_plug_in(describe_vbpr());
}

}  // namespace sea
