#pragma once

#include <string>
#include <vector>

#include "configuration/configuration.hpp"
#include "configuration/registry.hpp"
#include "models/modules.hpp"

namespace sea {

/// A modality whose features are trained, with the layer that projects them and the likeness graph of the raw
/// ones (learned_graph.hpp), which stays as it is.
struct TrainedFeatures {
  std::string modality;       ///< visual, textual
  std::string name;           ///< image, text
  Tensor features;            ///< NAME_embedding.weight, at first the raw features
  LinearParameters layer;     ///< NAME_trs
  HostCsr likeness;           ///< with knn_k entries in each row
  std::int64_t new_rows = 0;  ///< as of ItemFeatures
};
/// Those of all modalities, visual first, in this arena, with layers of this output width; the host's copies
/// of the features are freed.
std::vector<TrainedFeatures> trained_features(Model& model, Arena& arena, Dataset& dataset,
                                              const Configuration& configuration, std::int64_t width,
                                              const Progress& progress);

/// The sum of equally shaped modalities, each row weighted by attention: the weights of row i are the softmax
/// over the modalities m of v . tanh(W x_m,i + b). `both` has the two side by side; W and b are the linear
/// layer NAME.0, v is NAME.2.weight. Used by MGCN and MICRO.
Tensor attend(Model& model, Tape& tape, const std::string& name, Tensor both);

}  // namespace sea
