#include "models/sea.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "configuration/shared_keys.hpp"
#include "data/graph.hpp"
#include "models/initial_values.hpp"
#include "models/recording.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// Uploads the features one modality after the other, freeing the host's copy, and blends the neighbour
/// graphs.
HostCsr upload_features(Model& model, Dataset& dataset, const SeaSettings& settings,
                        const Progress& progress) {
  Backend& backend = model.program.backend();
  std::vector<HostCsr> graphs;
  for (ItemFeatures& modality : dataset.features) {
    const std::int64_t width = modality.values.columns;
    model.features.push_back(to_device(backend, modality.values.values));
    modality.values = {};
    graphs.push_back(modality_graph(backend, modality, model.features.back().matrix(dataset.items, width),
                                    settings.knn_k, progress));
  }
  return item_graph(graphs, settings.mm_image_weight);
}

/// One modality from its raw features to its unit node features, written into `nodes` (users + items rows).
/// Its `head` is what the alignment head reads.
ModalityParts record_modality(Model& model, Tape& tape, Arena& wide, const std::string& name, Tensor features,
                              Tensor nodes, std::int64_t users, const SeaSettings& settings) {
  Program& program = model.program;
  const std::int64_t width = features.columns, items = features.rows, e = settings.embedding_size;
  const std::int64_t generic_width = width / 2;

  const Tensor weight =
      program.parameter(wide, name + ".item_linear.weight", width, width, uniform_fan_in(width));
  const Tensor bias =
      program.parameter(*model.main, name + ".item_linear.bias", 1, width, uniform_fan_in(width));
  // Heads of the generic half first, of all columns next, of the unique half last: the columns of either
  // half are then read by neighbouring outputs, and no product passes over more of C's zeros than it must.
  std::vector<Head> heads;
  if (settings.align != Align::none) {
    heads.push_back(alignment_first_layer(model, name, generic_width, settings.head_hidden, 0));
  }
  // Kept values include the projections where no loss reads them.
  const bool projections = settings.distance != Distance::none || settings.keep_values;
  if (projections) {
    const auto generic =
        linear_parameters(model, name + ".generic_projection", generic_width, settings.club_width);
    heads.push_back({generic.weight, generic.bias, 0});
  }
  const auto tower_first = linear_parameters(model, name + ".tower.0", width, 4 * e);
  heads.push_back({tower_first.weight, tower_first.bias, 0});
  if (projections) {
    const auto unique =
        linear_parameters(model, name + ".unique_projection", width - generic_width, settings.club_width);
    heads.push_back({unique.weight, unique.bias, generic_width});
  }
  const Tensor outputs = factored_linear(tape, features, weight, bias, heads);
  std::int64_t column = 0;
  const auto next = [&](std::int64_t count) {
    column += count;
    return outputs.column_range(column - count, count);
  };

  ModalityParts modality;
  modality.pair.modality = name;
  if (settings.align != Align::none) modality.head = next(settings.head_hidden);
  if (projections) modality.pair.generic = next(settings.club_width);
  const Tensor tower_hidden = leaky_relu(tape, next(4 * e), 0.01f);
  if (projections) modality.pair.unique = next(settings.club_width);

  const auto tower_second = linear_parameters(model, name + ".tower.1", 4 * e, e);
  const Tensor item_nodes = linear(tape, tower_hidden, tower_second.weight, tower_second.bias);
  const Tensor user_nodes =
      program.parameter(*model.main, name + ".user_embedding", users, e, xavier_normal());
  tape.on_in_forward(Stream::narrow, [&] {  // while nothing else is there yet
    row_normalize(tape, user_nodes, nodes.row_range(0, users));
  });
  row_normalize(tape, item_nodes, nodes.row_range(users, items));
  if (settings.keep_parts && &tape == model.evaluation) {
    const Tensor whole = linear(tape, features, weight, bias);
    model.parts[name + "_generic"] = whole.column_range(0, generic_width);
    model.parts[name + "_unique"] = whole.column_range(generic_width, width - generic_width);
    if (projections) {
      model.parts[name + "_generic_projection"] = modality.pair.generic;
      model.parts[name + "_unique_projection"] = modality.pair.unique;
    }
  }
  return modality;
}

}  // namespace

std::unique_ptr<Model> build_sea(Backend& backend, Dataset& dataset, const SeaSettings& settings,
                                 const Progress& progress) {
  const std::size_t modalities = dataset.features.size();
  if (modalities == 0) throw UsageError("sea needs vision_feature_file or text_feature_file, or both");
  if (modalities == 1 && settings.align != Align::none) {
    throw UsageError("align needs two modalities; with one feature file alone it may be: none");
  }
  const std::int64_t users = dataset.users, items = dataset.items, e = settings.embedding_size;

  std::vector<std::pair<std::string, std::int64_t>> widths;
  for (const ItemFeatures& modality : dataset.features) {
    if (modality.values.columns < 2) {
      throw Error(fmt::format("{}: a row has {} number; at least 2 are needed, one for either half",
                              modality.file.string(), modality.values.columns));
    }
    widths.emplace_back(modality.modality, modality.values.columns);
  }
  auto model = begin_model(backend, dataset, settings);
  Program& program = model->program;
  ArenaSettings wide_settings = model->main->settings();
  wide_settings.gradients = Gradients::fused;
  Arena& wide = program.arena("item_linear", wide_settings);
  model->training->move(wide);
  model->schedule.decaying.push_back(&wide);
  const HostCsr neighbours = upload_features(*model, dataset, settings, progress);
  model->graphs.push_back(to_device(backend, interaction_graph(dataset.train, dataset.joined)));
  model->graphs.push_back(to_device(backend, neighbours));
  model->graphs.push_back(to_device(backend, transpose(neighbours)));
  const CsrView a = model->graphs[0].view(), s = model->graphs[1].view(),
                s_transposed = model->graphs[2].view();

  const auto blocks = static_cast<std::int64_t>(modalities);
  std::vector<ModalityParts> recorded;
  const auto represent = [&](Tape& tape) {
    recorded.clear();
    const Tensor nodes = tape.activation(users + items, blocks * e);
    // The textual modality, and then the heads, beside the visual one and the propagation.
    for (std::int64_t m = 0; m < blocks; ++m) {
      tape.on(m == 0 ? Stream::main : Stream::beside, [&] {
        const auto& [name, width] = widths[m];
        const Tensor features = program.constant(model->features[m].matrix(items, width));
        recorded.push_back(record_modality(*model, tape, wide, name, features, nodes.column_range(m * e, e),
                                           users, settings));
      });
    }
    // The visual head last, which has to wait longest: its backward is then the first. The other one's
    // forward finds a stream that has nothing to do until CLUB.
    tape.on(Stream::beside, [&] {
      for (std::int64_t m = blocks; m-- > 0;) {
        ModalityParts& modality = recorded[static_cast<std::size_t>(m)];
        if (modality.head.empty()) continue;
        tape.on_in_forward(m == 0 ? Stream::beside : Stream::narrow, [&] {
          modality.head =
              alignment_head(*model, tape, modality.pair.modality, modality.head, settings.head_out);
        });
        if (settings.keep_parts && &tape == model->evaluation)
          model->parts[modality.pair.modality + "_aligned"] = modality.head;
      }
    });
    const Tensor propagated = propagate(tape, a, a, nodes, settings.n_ui_layers, Layers::all);
    Tensor user_rows = propagated.row_range(0, users);
    if (blocks > 1) {
      const Tensor weight =
          program.parameter(*model->main, "user_modality_weight", users, blocks, softmax_of_xavier_normal());
      user_rows = modality_weight(tape, user_rows, weight);
    }
    const Tensor item_rows = propagate(tape, s, s_transposed, propagated.row_range(users, items),
                                       settings.n_mm_layers, Layers::residual);
    return Embeddings{user_rows, item_rows};
  };

  const Embeddings embeddings = represent(*model->training);
  bpr(*model->training, "bpr", 1.0f, BprSum::mean_log2, embeddings.users, embeddings.items, model->batch);
  for (const ModalityParts& modality : recorded) {
    if (modality.pair.generic.empty()) continue;
    model->values[modality.pair.modality + "_generic"] = modality.pair.generic;
    model->values[modality.pair.modality + "_unique"] = modality.pair.unique;
  }
  separate_learning(*model, *model->training, settings, recorded);
  model->values["user_representation"] = embeddings.users;
  model->values["item_representation"] = embeddings.items;
  if (settings.keep_values) {
    for (const auto& [name, tensor] : model->values) model->training->keep(tensor);
  }
  finish_model(*model, represent(*model->evaluation));
  return model;
}

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

ModelDescription::Build builder(bool keep_parts) {
  return [keep_parts](Backend& backend, Dataset& dataset, const Configuration& configuration,
                      const Progress& progress) {
    require_neighbours(configuration, dataset);
    SeaSettings settings = settings_of(configuration);
    settings.keep_parts = keep_parts;
    return build_sea(backend, dataset, settings, progress);
  };
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
  sea.build = builder(false);
  sea.parts = builder(true);
  sea.modalities_side_by_side = true;
  sea.item_graphs = neighbour_graphs;
  return sea;
}

}  // namespace sea
