#pragma once

#include <cstdint>
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
  explicit PlugIn(const Configuration& configuration);

  bool active() const { return settings_.has_value(); }
  /// Records the head on a representation (items x even width); nothing in the evaluation tape.
  void read(Model& model, Tape& tape, const std::string& modality, Tensor representation);
  /// Records the losses of all that was read, visual first, in each tape that read.
  void record(Model& model);

 private:
  std::optional<ModuleSettings> settings_;
  std::vector<std::pair<Tape*, std::vector<ModalityParts>>> modalities_;  ///< by tape
};

/// The same model with the modules' keys and checks, under the name NAME+sea.
ModelDescription with_plug_in(ModelDescription model);
/// Throws UsageError where this key, the width of a representation that is split, is odd.
void require_halves(const Configuration& configuration, const std::string& width);

}  // namespace sea
