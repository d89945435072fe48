#include "models/modules.hpp"

#include <algorithm>

#include "models/initial_values.hpp"
#include "sea/error.hpp"

namespace sea {

LinearParameters linear_parameters(Program& program, const std::string& name, std::int64_t in,
                                   std::int64_t out, std::uint64_t seed) {
  const Tensor weight = program.parameter(name + ".weight", out, in, uniform_fan_in(seed, in));
  const Tensor bias = program.parameter(name + ".bias", 1, out, uniform_fan_in(seed, in));
  return {weight, bias};
}

Reader alignment_head_reader(Program& program, const std::string& name, std::int64_t in, std::int64_t hidden,
                             std::int64_t first_column, std::uint64_t seed) {
  const LinearParameters first = linear_parameters(program, name + ".head.0", in, hidden, seed);
  return {first.weight, first.bias, first_column};
}

Tensor alignment_head(Program& program, const std::string& name, Tensor first, std::int64_t out,
                      std::uint64_t seed) {
  const std::int64_t hidden = first.columns;
  const auto normalize = [&](const std::string& layer, Tensor x) {
    const Tensor scale = program.parameter(layer + ".weight", 1, hidden, constant_value(1.0f));
    const Tensor shift = program.parameter(layer + ".bias", 1, hidden, constant_value(0.0f));
    return batch_norm(program, x, scale, shift, true);
  };
  Tensor x = normalize(name + ".head.1", first);
  const LinearParameters middle = linear_parameters(program, name + ".head.3", hidden, hidden, seed);
  x = normalize(name + ".head.4", linear(program, x, middle.weight, middle.bias));
  const LinearParameters last = linear_parameters(program, name + ".head.6", hidden, out, seed);
  x = linear(program, x, last.weight, last.bias);
  const Tensor unit = program.activation(x.rows, x.columns);
  row_normalize(program, x, unit);
  return unit;
}

void align(Program& program, const AlignmentSettings& settings, Tensor text, Tensor visual) {
  if (settings.kind == Align::none) return;
  contrastive_alignment(program, "align", settings.weight, text, visual, settings.temperature,
                        settings.kind == Align::infonce, settings.samples);
}

void push_apart(Program& program, const DistanceSettings& settings, const std::vector<DistancePair>& pairs,
                std::uint64_t seed) {
  if (settings.kind == Distance::none) return;
  const float weight = settings.weight / static_cast<float>(pairs.size());
  if (settings.kind == Distance::l2) {
    for (const DistancePair& pair : pairs) {
      l2_distance(program, "distance." + pair.modality, weight, pair.generic, pair.unique);
    }
    return;
  }

  const std::int64_t width = pairs.front().generic.columns, hidden = settings.club_hidden;
  const int q = program.fitted_parameters({{"club.mu.0.weight", hidden, width, uniform_fan_in(seed, width)},
                                           {"club.mu.0.bias", 1, hidden, uniform_fan_in(seed, width)},
                                           {"club.mu.2.weight", width, hidden, uniform_fan_in(seed, hidden)},
                                           {"club.mu.2.bias", 1, width, uniform_fan_in(seed, hidden)},
                                           {"club.lv.0.weight", hidden, width, uniform_fan_in(seed, width)},
                                           {"club.lv.0.bias", 1, hidden, uniform_fan_in(seed, width)},
                                           {"club.lv.2.weight", width, hidden, uniform_fan_in(seed, hidden)},
                                           {"club.lv.2.bias", 1, width, uniform_fan_in(seed, hidden)}});
  for (const DistancePair& pair : pairs) {
    club(program, "distance." + pair.modality, weight, pair.generic, pair.unique, pair.permutation, q,
         hidden);
  }
  std::vector<FitPair> fit;
  if (settings.club_pairs == ClubPairs::paper) {
    for (const DistancePair& pair : pairs) fit.push_back({pair.generic, pair.unique});
  } else {
    if (pairs.size() != 2)
      throw UsageError("club_pairs is authors, which needs two modalities; set club_pairs=paper");
    // pairs[0] is visual, pairs[1] textual: the authors predict the visual half from the textual one.
    fit = {{pairs[1].generic, pairs[0].generic}, {pairs[1].unique, pairs[0].unique}};
  }
  club_fit(program, "club_fit", fit, q, hidden, settings.club_steps, settings.club_adam);
}

void separate_learning(Model& model, const ModuleSettings& settings, std::vector<ModalityParts> modalities,
                       std::uint64_t seed) {
  Program& program = model.program;
  if (settings.align != Align::none) {
    const Tensor visual = modalities.at(0).head, text = modalities.at(1).head;
    ConstIndexView samples;
    if (settings.align_samples > 0) {
      samples = sample_permutation(program, seed, RandomPurpose::align_samples, text.rows,
                                   std::min(settings.align_samples, text.rows));
    }
    align(program, {settings.align, settings.alpha, settings.temperature, samples}, text, visual);
  }
  std::vector<DistancePair> pairs;
  for (ModalityParts& modality : modalities) {
    DistancePair& pair = modality.pair;
    if (settings.distance == Distance::club) {
      const RandomPurpose purpose =
          pair.modality == "visual" ? RandomPurpose::permutation_visual : RandomPurpose::permutation_textual;
      pair.permutation = sample_permutation(program, seed, purpose, pair.generic.rows, pair.generic.rows);
      model.draws["club_permutation_" + pair.modality] = pair.permutation;
    }
    pairs.push_back(pair);
  }
  AdamSettings club_adam;
  club_adam.learning_rate = settings.club_learning_rate;
  push_apart(program,
             {settings.distance, settings.club_pairs, settings.beta, settings.club_hidden,
              settings.club_steps, club_adam},
             pairs, seed);
}

}  // namespace sea
