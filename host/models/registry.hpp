#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/configuration.hpp"
#include "models/key.hpp"
#include "models/model.hpp"

namespace sea {

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

/// What the rest of the program knows of a kind of model. To add one, write a function that returns its
/// description and name it in `models()`.
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
  std::function<std::unique_ptr<Model>(Backend&, Dataset&, const Configuration&, const Progress&)> build;
  Score score = Score::dot;
};

/// The keys that every model has: training, evaluation, where it runs. The learning rate's default is the
/// model's.
std::vector<Key> common_keys(double learning_rate);

ModelDescription describe_sea();
ModelDescription describe_bpr();
ModelDescription describe_lightgcn();
ModelDescription describe_layergcn();
ModelDescription describe_vbpr();
ModelDescription describe_freedom();
ModelDescription describe_mmgcn();
ModelDescription describe_dualgnn();
ModelDescription describe_lattice();
ModelDescription describe_slmrec();
ModelDescription describe_bm3();
ModelDescription describe_mgcn();
ModelDescription describe_lgmrec();
ModelDescription describe_micro();
ModelDescription describe_mmssl();
ModelDescription describe_pamd();
/// The paper's Table 3: SEA's modules plugged in.
ModelDescription describe_vbpr_sea();
ModelDescription describe_freedom_sea();
ModelDescription describe_lattice_sea();
ModelDescription describe_slmrec_sea();
ModelDescription describe_bm3_sea();

/// What a model reads of a data folder.
DatasetFiles dataset_files(const Configuration& configuration);

/// All models. The list and its elements stay where they are.
const std::vector<ModelDescription>& models();

/// A model by its name or one of its presets' names, in any case.
struct ModelChoice {
  const ModelDescription* model = nullptr;
  const Preset* preset = nullptr;  ///< null for the plain name
};
/// Throws UsageError, beginning with `source`, that lists the models.
ModelChoice find_model(const std::string& name, const std::string& source);

}  // namespace sea
