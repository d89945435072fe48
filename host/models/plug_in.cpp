#include "models/plug_in.hpp"

#include <fmt/format.h>

#include <cctype>

#include "configuration/shared_keys.hpp"
#include "models/recording.hpp"
#include "sea/error.hpp"

namespace sea {

PlugIn::PlugIn(const Configuration& configuration, bool keep_parts) : keep_parts_(keep_parts) {
  if (configuration.has("align")) settings_ = module_settings(configuration);
}

void PlugIn::read(Model& model, Tape& tape, const std::string& modality, Tensor representation) {
  const bool evaluation = &tape == model.evaluation;
  if (!active() || (evaluation && !keep_parts_)) return;
  const std::int64_t half = representation.columns / 2;
  ModalityParts parts;
  parts.pair.modality = modality;
  parts.pair.generic = representation.column_range(0, half);
  parts.pair.unique = representation.column_range(half, half);
  if (settings_->align != Align::none) {
    const Head first = alignment_first_layer(model, modality, half, settings_->head_hidden, 0);
    parts.head =
        alignment_head(model, tape, modality, linear(tape, parts.pair.generic, first.weight, first.bias),
                       settings_->head_out);
  }
  if (evaluation) {
    model.parts[modality + "_generic"] = parts.pair.generic;
    model.parts[modality + "_unique"] = parts.pair.unique;
    if (!parts.head.empty()) model.parts[modality + "_aligned"] = parts.head;
    return;
  }
  if (modalities_.empty() || modalities_.back().first != &tape) modalities_.push_back({&tape, {}});
  modalities_.back().second.push_back(parts);
}

void PlugIn::record(Model& model) {
  for (const auto& [tape, modalities] : modalities_) separate_learning(model, *tape, *settings_, modalities);
}

ModelDescription::Build without_parts(PluggedBuild& build) {
  return
      [&build](Backend& backend, Dataset& dataset, const Configuration& configuration,
               const Progress& progress) { return build(backend, dataset, configuration, progress, false); };
}

namespace {

/// A model's name as its paper writes it.
std::string published_name(std::string name) {
  if (name == "slmrec") return "SLMRec";
  for (char& letter : name) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  return name;
}

}  // namespace

ModelDescription with_plug_in(ModelDescription model, PluggedBuild& build) {
  model.summary =
      fmt::format("{} with SEA's alignment and distance on its two modalities", published_name(model.name));
  model.name += "+sea";
  const std::vector<Key> keys = module_keys(0.1, 0.1, 0.1);
  model.keys.insert(model.keys.end(), keys.begin(), keys.end());
  model.check = [](const Configuration& configuration) {
    require_features(configuration);
    require_modalities(configuration);
    require_halves(configuration, "embedding_size");
  };
  model.parts = [&build](Backend& backend, Dataset& dataset, const Configuration& configuration,
                         const Progress& progress) {
    return build(backend, dataset, configuration, progress, true);
  };
  return model;
}

void require_halves(const Configuration& configuration, const std::string& width) {
  if (configuration.integer(width) % 2 == 0) return;
  throw UsageError(fmt::format("{} is {}; {} splits it into halves, so it must be even", width,
                               configuration.integer(width), configuration.model().name));
}

}  // namespace sea
