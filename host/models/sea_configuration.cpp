#include <algorithm>

#include "models/sea.hpp"
#include "models/shared_keys.hpp"

namespace sea {

namespace {

SeaSettings settings_of(const Configuration& configuration) {
  SeaSettings settings;
  static_cast<ModuleSettings&>(settings) = module_settings(configuration);
  static_cast<TrainingSettings&>(settings) = training_settings(configuration);
  settings.embedding_size = configuration.integer("embedding_size");
  settings.knn_k = configuration.integer("knn_k");
  settings.mm_image_weight = static_cast<float>(configuration.number("mm_image_weight"));
  settings.n_ui_layers = configuration.integer("n_ui_layers");
  settings.n_mm_layers = configuration.integer("n_mm_layers");
  settings.club_width = configuration.integer("club_width");
  return settings;
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress& progress) {
  require_neighbours(configuration, dataset);
  return build_sea(backend, dataset, settings_of(configuration), progress);
}

}  // namespace

ModelDescription describe_sea() {
  ModelDescription sea;
  sea.name = "sea";
  sea.summary = "generic parts of two modalities aligned, unique parts kept apart, on two graphs";
  const auto preset = [](const char* name, const char* align, const char* distance) {
    return Preset{name, {{"align", std::string(align)}, {"distance", std::string(distance)}}};
  };
  sea.presets = {preset("SEAa", "solosim", "club"), preset("SEAb", "solosim", "l2"),
                 preset("SEAc", "infonce", "club"), preset("SEAd", "infonce", "l2")};
  sea.keys = common_keys(1e-4);
  for (const std::vector<Key>& keys : {feature_keys(), item_graph_keys(), module_keys(0.012, 0.006, 0.046)})
    sea.keys.insert(sea.keys.end(), keys.begin(), keys.end());
  const auto club_hidden = std::find_if(sea.keys.begin(), sea.keys.end(),
                                        [](const Key& key) { return key.name == "club_hidden"; });
  sea.keys.insert(club_hidden,
                  integer_key("club_width", 32, 1, 4096, "width of the projections that are pushed apart"));
  sea.check = [](const Configuration& configuration) {
    require_features(configuration);
    require_modalities(configuration);
  };
  sea.files = feature_files;
  sea.build = build;
  return sea;
}

}  // namespace sea
