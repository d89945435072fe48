#include "models/trained_features.hpp"

#include "models/initial_values.hpp"
#include "models/learned_graph.hpp"

namespace sea {

std::vector<TrainedFeatures> trained_features(Model& model, Arena& arena, Dataset& dataset,
                                              const Configuration& configuration, std::int64_t width,
                                              const Progress& progress) {
  Backend& backend = model.program.backend();
  std::vector<TrainedFeatures> modalities;
  for (ItemFeatures& raw : dataset.features) {
    const std::int64_t columns = raw.values.columns;
    TrainedFeatures modality;
    modality.modality = raw.modality;
    modality.name = raw.modality == "visual" ? "image" : "text";
    modality.new_rows = raw.new_rows;
    {
      const Buffer<float> features = to_device(backend, raw.values.values);
      modality.likeness = likeness_graph(backend, raw, features.matrix(dataset.items, columns),
                                         configuration.integer("knn_k"), progress);
    }
    modality.features = model.program.parameter(arena, modality.name + "_embedding.weight", dataset.items,
                                                columns, given_values(std::move(raw.values.values)));
    raw.values = {};
    modality.layer = linear_parameters(model, modality.name + "_trs", columns, width, {}, &arena);
    modalities.push_back(std::move(modality));
  }
  return modalities;
}

Tensor attend(Model& model, Tape& tape, const std::string& name, Tensor both) {
  const std::int64_t width = both.columns / 2;
  const LinearParameters layer = linear_parameters(model, name + ".0", width, width);
  const Tensor v = model.program.parameter(*model.main, name + ".2.weight", 1, width, uniform_fan_in(width));
  const Tensor scores = tape.activation(both.rows, 2);
  for (const std::int64_t m : {0, 1}) {
    const Tensor hidden =
        activate(tape, Activation::tanh, linear(tape, both.column_range(m * width, width), layer));
    copy(tape, matmul(tape, Transpose::no, Transpose::yes, hidden, v), scores.column_range(m, 1));
  }
  const Tensor weighted = modality_weight(tape, both, softmax(tape, scores));
  return add(tape, weighted.column_range(0, width), weighted.column_range(width, width));
}

}  // namespace sea
