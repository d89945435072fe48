#pragma once

#include <cstdint>
#include <memory>

#include "models/model.hpp"
#include "models/modules.hpp"
#include "models/recording.hpp"

namespace sea {

/// docs/configuration.md has the meaning and range of each.
struct SeaSettings : ModuleSettings, TrainingSettings {
  std::int64_t embedding_size = 64;
  std::int64_t knn_k = 10;
  float mm_image_weight = 0.1f;
  std::int64_t n_ui_layers = 2;
  std::int64_t n_mm_layers = 1;
  std::int64_t club_width = 32;
  /// Keeps the projections and representations of a step readable after `forward`, under the names
  /// visual_generic, visual_unique, ..., user_representation, item_representation.
  bool keep_values = false;
  /// Evaluation computes Model::parts: the halves of the item layer as MODALITY_generic and MODALITY_unique;
  /// what the distance reads as MODALITY_generic_projection and MODALITY_unique_projection, and what the
  /// alignment reads as MODALITY_aligned, where the model has them.
  bool keep_parts = false;
};

/// Records SEA on the modalities that `dataset` holds (both, or one alone), builds its graphs, and allocates.
/// The host's copy of the features is freed on the way. Loss terms: bpr, align, distance.visual,
/// distance.textual, club_fit.0 ..., total; the two distances weigh beta / 2 each, or one of them beta.
/// Throws UsageError where a setting does not fit the data, and Error where memory does not suffice.
std::unique_ptr<Model> build_sea(Backend& backend, Dataset& dataset, const SeaSettings& settings,
                                 const Progress& progress);

}  // namespace sea
