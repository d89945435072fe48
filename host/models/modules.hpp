#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "configuration/configuration.hpp"
#include "models/model.hpp"
#include "program/nodes.hpp"

namespace sea {

// SEA's two modules, which any model can call on any pair of modality representations (the paper's Table 3).

enum class Align { solosim, infonce, none };
enum class Distance { club, l2, none };
/// What q is fitted on: (generic, unique) of each modality as the paper's Eq. 15 says, or (generic, generic)
/// and (unique, unique) across the modalities, as the authors' public code does.
enum class ClubPairs { paper, authors };

/// Two rows of one item, one per modality, ready to be pulled together.
struct AlignmentSettings {
  Align kind = Align::solosim;
  float weight = 0.0f;
  float temperature = 0.0f;
  Indices samples;  ///< see Backend::contrastive_alignment
};

/// The first layer of a SoloSim head, Linear(in -> hidden), under NAME.head.0.
Head alignment_first_layer(Model& model, const std::string& name, std::int64_t in, std::int64_t hidden,
                           std::int64_t first_column);
/// The rest of the head: BatchNorm, ReLU, Linear(hidden -> hidden), BatchNorm, ReLU, Linear(hidden -> out),
/// unit rows. `first` (rows x hidden) is the first layer's output.
Tensor alignment_head(Model& model, Tape& tape, const std::string& name, Tensor first, std::int64_t out);
/// The loss term `align` on two heads' outputs; nothing for Align::none.
void align(Tape& tape, const AlignmentSettings& settings, Tensor text, Tensor visual);

/// One modality's projections, to be pushed apart.
struct DistancePair {
  std::string modality;
  Tensor generic, unique;
  Indices permutation;  ///< of the rows; CLUB alone reads it
};
struct DistanceSettings {
  Distance kind = Distance::club;
  ClubPairs club_pairs = ClubPairs::paper;
  float weight = 0.0f;  ///< of the mean over the modalities
  std::int64_t club_hidden = 0;
  std::int64_t club_steps = 0;
  double club_learning_rate = 1e-4;
};
/// The loss terms distance.MODALITY, and for CLUB the network q with its fit; nothing for Distance::none.
void push_apart(Model& model, Tape& tape, const DistanceSettings& settings,
                const std::vector<DistancePair>& pairs);

/// Both modules as a model asks for them; docs/configuration.md has the meaning and range of each.
struct ModuleSettings {
  Align align = Align::solosim;
  Distance distance = Distance::club;
  ClubPairs club_pairs = ClubPairs::paper;
  float alpha = 0.012f;
  float beta = 0.006f;
  float temperature = 0.046f;
  std::int64_t align_samples = 0;
  std::int64_t head_hidden = 64;
  std::int64_t head_out = 32;
  std::int64_t club_hidden = 8;
  std::int64_t club_steps = 50;
  double club_learning_rate = 1e-4;
};
ModuleSettings module_settings(const Configuration& configuration);
/// What the modules read of one modality: its items' heads, empty without alignment, and its pair.
struct ModalityParts {
  Tensor head;
  DistancePair pair;
};
/// `align` and `push_apart` on one or two modalities, visual first, with their draws, which are named in
/// `model.draws` where the tape is the one of training. Another tape of one model reads the same parameters.
void separate_learning(Model& model, Tape& tape, const ModuleSettings& settings,
                       std::vector<ModalityParts> modalities);

/// A linear layer's parameters NAME.weight (out x in) and NAME.bias, uniform in +-1 / sqrt(in), or the weight
/// as `initial` says; in the arena "main" unless another one is given.
struct LinearParameters {
  Tensor weight, bias;
};
LinearParameters linear_parameters(Model& model, const std::string& name, std::int64_t in, std::int64_t out,
                                   const Initializer& initial = {}, Arena* arena = nullptr);
/// X W^T + bias.
Tensor linear(Tape& tape, Tensor x, const LinearParameters& parameters);

}  // namespace sea
