#include "configuration/shared_keys.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sea/error.hpp"

namespace sea {

std::vector<Key> feature_keys() {
  return {file_key("vision_feature_file", "image_feat.npy", "visual features; null leaves the modality out"),
          file_key("text_feature_file", "text_feat.npy", "the other modality's features; null likewise")};
}

DatasetFiles feature_files(const Configuration& configuration) {
  return {configuration.file("vision_feature_file"), configuration.file("text_feature_file")};
}

void require_features(const Configuration& configuration) {
  if (configuration.file("vision_feature_file") || configuration.file("text_feature_file")) return;
  throw UsageError(
      fmt::format("vision_feature_file and text_feature_file are both null; {} needs one of them, or both",
                  configuration.model().name));
}

void require_both_features(const Configuration& configuration) {
  for (const std::string key : {"vision_feature_file", "text_feature_file"}) {
    if (!configuration.file(key))
      throw UsageError(fmt::format("{} is null; {} needs both modalities", key, configuration.model().name));
  }
}

float batch_share(const Configuration& configuration, const std::string& name) {
  return static_cast<float>(configuration.number(name) /
                            static_cast<double>(configuration.integer("train_batch_size")));
}

void set_fallback(std::vector<Key>& keys, const std::string& name, const KeyValue& value) {
  const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == name; });
  if (key == keys.end()) throw Error(fmt::format("there is no key {}", name));
  key->fallback = value;
}

std::vector<Key> item_graph_keys() {
  return {integer_key("knn_k", 10, 1, 1'000'000, "neighbours of an item in a modality's item graph"),
          number_key("mm_image_weight", 0.1, 0.0, 1.0,
                     "weight of the visual item graph; the rest is the other's"),
          integer_key("n_ui_layers", 2, 1, 64, "propagations on the interaction graph"),
          integer_key("n_mm_layers", 1, 1, 64, "propagations on the item graph")};
}

void require_neighbours(const Configuration& configuration, const Dataset& dataset) {
  if (configuration.integer("knn_k") <= dataset.items) return;
  throw UsageError(fmt::format("knn_k is {}; it must be at most the number of items, which is {}",
                               configuration.integer("knn_k"), dataset.items));
}

std::vector<Key> module_keys(double alpha, double beta, double temperature) {
  Key club_learning_rate =
      number_key("club_learning_rate", 0.0, 1e-12, 1.0, "Adam's step size in the fit of q");
  club_learning_rate.follows = "learning_rate";
  return {choice_key("align", "solosim", {"solosim", "infonce", "none"},
                     "loss that aligns the generic parts of the modalities"),
          choice_key("distance", "club", {"club", "l2", "none"},
                     "loss that pushes generic and unique parts apart"),
          choice_key("club_pairs", "paper", {"paper", "authors"}, "what q is fitted on"),
          number_key("alpha", alpha, 0.0, 1e6, "weight of the alignment loss"),
          number_key("beta", beta, 0.0, 1e6, "weight of the distance loss"),
          number_key("temperature", temperature, 0.025, 1e6, "temperature of the alignment's softmax"),
          integer_key("align_samples", 0, 0, 2147483647,
                      "items drawn per step that alignment contrasts with; 0: all items, exactly"),
          integer_key("head_hidden", 64, 1, 4096, "width inside the alignment head"),
          integer_key("head_out", 32, 1, 4096, "width of what is aligned"),
          integer_key("club_hidden", 8, 1, 4096, "width inside q"),
          integer_key("club_steps", 50, 1, 1'000'000, "steps of the fit of q in a training step"),
          club_learning_rate};
}

void require_modalities(const Configuration& configuration) {
  const bool visual = configuration.file("vision_feature_file").has_value();
  const bool textual = configuration.file("text_feature_file").has_value();
  if (visual && textual) return;
  const std::string missing = visual ? "text_feature_file" : "vision_feature_file";
  if (configuration.text("align") != "none") {
    throw UsageError(fmt::format("align is {}, which needs two modalities, but {} is null; set align=none",
                                 configuration.text("align"), missing));
  }
  if (configuration.text("distance") == "club" && configuration.text("club_pairs") == "authors") {
    throw UsageError(fmt::format(
        "club_pairs is authors, which needs two modalities, but {} is null; set club_pairs=paper", missing));
  }
}

}  // namespace sea
