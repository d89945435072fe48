#pragma once

#include <string>
#include <vector>

#include "models/configuration.hpp"
#include "models/modules.hpp"
#include "models/registry.hpp"

namespace sea {

/// SEA's two modules beside a model that has one representation a modality (the paper's Table 3): its first
/// half is the generic part, which the alignment head reads, its second the unique one; the distance reads
/// both as they are.
class PlugIn {
 public:
  /// Records the head on a representation (items x even width). Before anything that reads it whole.
  void read(Program& program, const Configuration& configuration, const std::string& modality,
            Tensor representation);
  /// Records the losses of all that was read, visual first; nothing where nothing was.
  void record(Model& model, const Configuration& configuration);

 private:
  std::vector<ModalityParts> modalities_;
};

/// The same model with the modules' keys and checks, under the name NAME+sea.
ModelDescription with_plug_in(ModelDescription model);

}  // namespace sea
