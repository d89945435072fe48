#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configuration/configuration.hpp"
#include "configuration/registry.hpp"
#include "models/modules.hpp"

namespace sea {

/// SEA's two modules beside a model that has one representation per modality (the paper's Table 3): its first
/// half is the generic part, which the alignment head reads, its second the unique one; the distance reads
/// both as they are. Under the plain name of the model, which has no keys of the modules, it does nothing.
class PlugIn {
 public:
  /// `keep_parts`: evaluation computes Model::parts, the halves as MODALITY_generic and MODALITY_unique, and
  /// MODALITY_aligned where there is an alignment.
  PlugIn(const Configuration& configuration, bool keep_parts);

  bool active() const { return settings_.has_value(); }
  /// Whether the representations must be there in the evaluation tape too.
  bool keeps_parts() const { return active() && keep_parts_; }
  /// Records the head on a representation (items x even width); in the evaluation tape only for the parts.
  void read(Model& model, Tape& tape, const std::string& modality, Tensor representation);
  /// Records the losses of all that was read, visual first, in each tape that read.
  void record(Model& model);

 private:
  std::optional<ModuleSettings> settings_;
  bool keep_parts_;
  std::vector<std::pair<Tape*, std::vector<ModalityParts>>> modalities_;  ///< by tape
};

/// Builds a model that calls PlugIn, with or without the parts.
using PluggedBuild = std::unique_ptr<Model>(Backend&, Dataset&, const Configuration&, const Progress&,
                                            bool keep_parts);
/// The model without the parts.
ModelDescription::Build without_parts(PluggedBuild& build);
/// The same model with the modules' keys, checks and parts, under the name NAME+sea.
ModelDescription with_plug_in(ModelDescription model, PluggedBuild& build);
/// Throws UsageError where this key, the width of a representation that is split, is odd.
void require_halves(const Configuration& configuration, const std::string& width);

}  // namespace sea
