#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "configuration/configuration.hpp"
#include "configuration/key.hpp"
#include "data/dataset.hpp"

namespace sea {

class Backend;
struct Model;  // models/model.hpp, which only `build` needs

/// What a model tells about the work before its first step ("neighbours of image_feat.npy").
using Progress = std::function<void(const std::string& what)>;

/// A name for a model with some of its keys set.
struct Preset {
  std::string name;
  std::vector<std::pair<std::string, KeyValue>> values;
};

/// What a model makes of the representations of a user and an item.
enum class Score {
  dot,        ///< their dot product
  attentive,  ///< see Backend::rank_attentive: an item has five parts
};

/// A graph of the items (items x items), by its name: visual, textual, combined.
struct ItemNeighbours {
  std::string name;
  HostCsr graph;
};

/// What the rest of the program knows of a kind of model.
struct ModelDescription {
  std::string name;
  std::string summary;  ///< one line
  std::vector<Preset> presets = {};
  std::vector<Key> keys = {};
  /// Throws UsageError where keys that are right alone do not go together.
  std::function<void(const Configuration&)> check = [](const Configuration&) {};
  /// The feature files it reads: none, where nothing else is said.
  std::function<DatasetFiles(const Configuration&)> files = [](const Configuration&) {
    return DatasetFiles{std::nullopt, std::nullopt};
  };
  using Build =
      std::function<std::unique_ptr<Model>(Backend&, Dataset&, const Configuration&, const Progress&)>;
  Build build;
  /// The same model, whose evaluation computes the items' parts as well; empty where it has none.
  Build parts = {};
  Score score = Score::dot;
  /// Why it cannot take in people and items that were not in training (training/fold_in.hpp); empty where it
  /// can.
  std::string refuses_newcomers = {};
  /// Whether representations have the modalities' columns side by side, visual first.
  bool modalities_side_by_side = false;
  /// The item graphs that come from the features alone. Null where the model has none; those that it learns
  /// are Model::learned_graphs.
  std::function<std::vector<ItemNeighbours>(Backend&, const Dataset&, const Configuration&, const Progress&)>
      item_graphs = {};
  bool learns_item_graphs = false;
};

/// The keys that every model has: training, evaluation, where it runs. The learning rate's default is the
/// model's.
std::vector<Key> common_keys(double learning_rate);

/// What a model reads of a data folder.
DatasetFiles dataset_files(const Configuration& configuration);

/// All models: the floor above has the list (models/models.cpp). It and its elements stay where they are.
const std::vector<ModelDescription>& models();

/// A model by its name or one of its presets' names, in any case.
struct ModelChoice {
  const ModelDescription* model = nullptr;
  const Preset* preset = nullptr;  ///< null for the plain name
};
/// Throws UsageError, beginning with `source`, that lists the models.
ModelChoice find_model(const std::string& name, const std::string& source);

}  // namespace sea
