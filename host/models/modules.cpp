#include "models/modules.hpp"

#include <algorithm>

#include "models/initial_values.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

Align align_of(const std::string& name) {
  return name == "solosim" ? Align::solosim : name == "infonce" ? Align::infonce : Align::none;
}

Distance distance_of(const std::string& name) {
  return name == "club" ? Distance::club : name == "l2" ? Distance::l2 : Distance::none;
}

}  // namespace

LinearParameters linear_parameters(Model& model, const std::string& name, std::int64_t in, std::int64_t out,
                                   const Initializer& initial, Arena* arena) {
  Arena& owner = arena == nullptr ? *model.main : *arena;
  const Tensor weight =
      model.program.parameter(owner, name + ".weight", out, in, initial ? initial : uniform_fan_in(in));
  const Tensor bias = model.program.parameter(owner, name + ".bias", 1, out, uniform_fan_in(in));
  return {weight, bias};
}

Tensor linear(Tape& tape, Tensor x, const LinearParameters& parameters) {
  return linear(tape, x, parameters.weight, parameters.bias);
}

Head alignment_first_layer(Model& model, const std::string& name, std::int64_t in, std::int64_t hidden,
                           std::int64_t first_column) {
  const LinearParameters first = linear_parameters(model, name + ".head.0", in, hidden);
  return {first.weight, first.bias, first_column};
}

Tensor alignment_head(Model& model, Tape& tape, const std::string& name, Tensor first, std::int64_t out) {
  const std::int64_t hidden = first.columns;
  const auto normalize = [&](const std::string& layer, Tensor x) {
    const Tensor scale =
        model.program.parameter(*model.main, layer + ".weight", 1, hidden, constant_value(1.0f));
    const Tensor shift =
        model.program.parameter(*model.main, layer + ".bias", 1, hidden, constant_value(0.0f));
    return batch_norm(tape, x, scale, shift, true);
  };
  Tensor x = normalize(name + ".head.1", first);
  const LinearParameters middle = linear_parameters(model, name + ".head.3", hidden, hidden);
  x = normalize(name + ".head.4", linear(tape, x, middle.weight, middle.bias));
  const LinearParameters last = linear_parameters(model, name + ".head.6", hidden, out);
  x = linear(tape, x, last.weight, last.bias);
  const Tensor unit = tape.activation(x.rows, x.columns);
  row_normalize(tape, x, unit);
  return unit;
}

void align(Tape& tape, const AlignmentSettings& settings, Tensor text, Tensor visual) {
  if (settings.kind == Align::none) return;
  contrastive_alignment(tape, "align", settings.weight, text, visual, settings.temperature,
                        settings.kind == Align::infonce, settings.samples);
}

namespace {

/// The arena of the network q, made where it is not there yet: several tapes may train it.
Arena& variational_arena(Program& program, double learning_rate) {
  for (Arena& arena : program.arenas()) {
    if (arena.name() == "club") return arena;
  }
  ArenaSettings settings;
  settings.learning_rate = learning_rate;
  settings.gradients = Gradients::fused;
  settings.packed = true;
  return program.arena("club", settings);
}

/// The network q of CLUB, in an arena of its own that the tape moves.
VariationalNetwork variational_network(Model& model, Tape& tape, std::int64_t width,
                                       const DistanceSettings& settings) {
  Arena& q = variational_arena(model.program, settings.club_learning_rate);
  tape.move(q);
  const std::int64_t hidden = settings.club_hidden;
  VariationalNetwork network{{}, hidden};
  for (const std::string name : {"club.mu", "club.lv"}) {
    const auto add = [&](const std::string& part, std::int64_t rows, std::int64_t columns,
                         std::int64_t fan_in) {
      network.parameters.push_back(
          model.program.parameter(q, name + part, rows, columns, uniform_fan_in(fan_in)));
    };
    add(".0.weight", hidden, width, width);
    add(".0.bias", 1, hidden, width);
    add(".2.weight", width, hidden, hidden);
    add(".2.bias", 1, width, hidden);
  }
  return network;
}

}  // namespace

void push_apart(Model& model, Tape& tape, const DistanceSettings& settings,
                const std::vector<DistancePair>& pairs) {
  if (settings.kind == Distance::none) return;
  const float weight = settings.weight / static_cast<float>(pairs.size());
  if (settings.kind == Distance::l2) {
    for (const DistancePair& pair : pairs)
      l2_distance(tape, "distance." + pair.modality, weight, pair.generic, pair.unique);
    return;
  }

  const VariationalNetwork q = variational_network(model, tape, pairs.front().generic.columns, settings);
  for (const DistancePair& pair : pairs)
    club(tape, "distance." + pair.modality, weight, pair.generic, pair.unique, pair.permutation, q);
  std::vector<FitPair> fit;
  if (settings.club_pairs == ClubPairs::paper) {
    for (const DistancePair& pair : pairs) fit.push_back({pair.generic, pair.unique});
  } else {
    if (pairs.size() != 2)
      throw UsageError("club_pairs is authors, which needs two modalities; set club_pairs=paper");
    // pairs[0] is visual, pairs[1] textual: the authors predict the visual half from the textual one.
    fit = {{pairs[1].generic, pairs[0].generic}, {pairs[1].unique, pairs[0].unique}};
  }
  club_fit(tape, "club_fit", fit, q, settings.club_steps);
}

void separate_learning(Model& model, Tape& tape, const ModuleSettings& settings,
                       std::vector<ModalityParts> modalities) {
  if (settings.align != Align::none) {
    const Tensor visual = modalities.at(0).head, text = modalities.at(1).head;
    Indices samples;
    if (settings.align_samples > 0) {
      samples = sample_permutation(tape, RandomPurpose::samples, text.rows,
                                   std::min(settings.align_samples, text.rows));
    }
    tape.on(Stream::beside, [&] {
      align(tape, {settings.align, settings.alpha, settings.temperature, samples}, text, visual);
    });
  }
  std::vector<DistancePair> pairs;
  for (ModalityParts& modality : modalities) {
    DistancePair& pair = modality.pair;
    if (settings.distance == Distance::club) {
      const RandomPurpose purpose =
          pair.modality == "visual" ? RandomPurpose::permutation : RandomPurpose::second_permutation;
      pair.permutation = sample_permutation(tape, purpose, pair.generic.rows, pair.generic.rows);
      if (&tape == model.training) model.draws["club_permutation_" + pair.modality] = pair.permutation;
    }
    pairs.push_back(pair);
  }
  tape.on(Stream::narrow, [&] {
    push_apart(model, tape,
               {settings.distance, settings.club_pairs, settings.beta, settings.club_hidden,
                settings.club_steps, settings.club_learning_rate},
               pairs);
  });
}

ModuleSettings module_settings(const Configuration& configuration) {
  ModuleSettings settings;
  settings.align = align_of(configuration.text("align"));
  settings.distance = distance_of(configuration.text("distance"));
  settings.club_pairs = configuration.text("club_pairs") == "paper" ? ClubPairs::paper : ClubPairs::authors;
  settings.alpha = static_cast<float>(configuration.number("alpha"));
  settings.beta = static_cast<float>(configuration.number("beta"));
  settings.temperature = static_cast<float>(configuration.number("temperature"));
  settings.align_samples = configuration.integer("align_samples");
  settings.head_hidden = configuration.integer("head_hidden");
  settings.head_out = configuration.integer("head_out");
  settings.club_hidden = configuration.integer("club_hidden");
  settings.club_steps = configuration.integer("club_steps");
  settings.club_learning_rate = configuration.number("club_learning_rate");
  return settings;
}

}  // namespace sea
