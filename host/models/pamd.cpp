// PAMD (Han et al., "Modality Matches Modality: Pretraining Modality-Disentangled Item Representations for
// Recommendation", WWW 2022), as hantengyue/PAMD computes it.

#include <numeric>

#include "configuration/shared_keys.hpp"
#include "models/initial_values.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

/// One row each of two modalities' features, and where one decodes to the other.
struct Features {
  Tensor image, text;
};

class Recording {
 public:
  Recording(Backend& backend, Dataset& dataset, const Configuration& configuration)
      : configuration_(configuration),
        users_(dataset.users),
        items_(dataset.items),
        width_(configuration.integer("embedding_size")),
        model_(begin_model(backend, dataset, settings_of(configuration))) {
    ArenaSettings settings = model_->main->settings();
    if (configuration.integer("pretrain_epochs") > 0)
      decoders_ = &model_->program.arena("decoders", settings);
    settings.learning_rate = configuration.number("finetune_learning_rate");
    encoders_ = &model_->program.arena("encoders", settings);
    model_->training->move(*encoders_);
    model_->schedule.decaying.push_back(encoders_);
    features_ = {upload(backend, dataset.features.at(0)), upload(backend, dataset.features.at(1))};
  }

  std::unique_ptr<Model> record() {
    if (decoders_ != nullptr) record_pretraining();
    record_training();
    Tape& evaluation = *model_->evaluation;
    const Tensor items = evaluation.activation(items_, 5 * width_);
    copy(evaluation, free_items(), items.column_range(0, width_));
    item_parts(evaluation, features_, items.column_range(width_, 4 * width_));
    const auto part = [&](std::int64_t place) { return items.column_range(place * width_, width_); };
    model_->parts = {{"visual_generic", part(1)},
                     {"textual_generic", part(2)},
                     {"visual_unique", part(3)},
                     {"textual_unique", part(4)}};
    finish_model(*model_, {free_users(), items});
    return std::move(model_);
  }

 private:
  static TrainingSettings settings_of(const Configuration& configuration) {
    TrainingSettings settings = training_settings(configuration);
    settings.negatives = Negatives::all_items;
    return settings;
  }
  Tensor upload(Backend& backend, ItemFeatures& features) {
    const Buffer<float>& values = model_->features.emplace_back(to_device(backend, features.values.values));
    const std::int64_t width = features.values.columns;
    features.values = {};
    return model_->program.constant(values.matrix(items_, width));
  }

  Tensor free_users() {
    return model_->program.parameter(*model_->main, "user_emb.weight", users_, width_, standard_normal());
  }
  Tensor free_items() {
    return model_->program.parameter(*model_->main, "item_emb.weight", items_, width_, standard_normal());
  }
  /// A linear layer of `arena` on x, written into y.
  void layer(Tape& tape, Arena& arena, const std::string& name, Tensor x, Tensor y) {
    const Initializer initial = uniform_fan_in(x.columns);
    linear(tape, x, model_->program.parameter(arena, name + ".weight", y.columns, x.columns, initial),
           model_->program.parameter(arena, name + ".bias", 1, y.columns, initial), y);
  }
  /// A - B, written into y.
  static void subtract(Tape& tape, Tensor a, Tensor b, Tensor y) { add(tape, a, scale(tape, -1.0f, b), y); }
  /// The common part of an encoded modality.
  Tensor common_part(Tape& tape, const std::string& name, Tensor encoded) {
    const Tensor weight = model_->program.parameter(*encoders_, name, width_, width_, kaiming_uniform());
    return matmul(tape, Transpose::no, Transpose::no, encoded, weight);
  }

  /// The four parts of items side by side: common visual, common textual, specific visual, specific textual.
  void item_parts(Tape& tape, const Features& features, Tensor parts) {
    const auto modality = [&](const std::string& encoder, const std::string& common, Tensor x,
                              std::int64_t place) {
      const Tensor encoded = tape.activation(x.rows, width_);
      layer(tape, *encoders_, encoder, x, encoded);
      const Tensor shared = common_part(tape, common, encoded);
      copy(tape, shared, parts.column_range(place * width_, width_));
      subtract(tape, encoded, shared, parts.column_range((2 + place) * width_, width_));
    };
    modality("en_img", "W_2", features.image, 0);
    modality("en_txt", "W_1", features.text, 1);
  }

  /// What a decoder makes of a modality's parts, held against the other modality's feature.
  void decode(Tape& tape, const std::string& decoder, Tensor common, Tensor whole, Tensor specific,
              Tensor feature) {
    const std::int64_t n = common.rows;
    const Tensor stacked = tape.activation(3 * n, width_), unit_feature = tape.activation(n, feature.columns);
    copy(tape, common, stacked.row_range(0, n));
    copy(tape, whole, stacked.row_range(n, n));
    copy(tape, specific, stacked.row_range(2 * n, n));
    const Tensor decoded = tape.activation(3 * n, feature.columns),
                 unit = tape.activation(3 * n, feature.columns), cosines = tape.activation(n, 3);
    layer(tape, *decoders_, decoder, stacked, decoded);
    row_normalize(tape, decoded, unit);
    row_normalize(tape, feature, unit_feature);
    for (std::int64_t part = 0; part < 3; ++part)
      row_dot(tape, unit_feature, unit.row_range(part * n, n), cosines.column_range(part, 1));
    decoder_loss(tape, decoder, 1.0f, cosines, static_cast<float>(configuration_.number("temperature")));
  }

  void record_pretraining() {
    Program& program = model_->program;
    Tape& tape = program.tape("pretraining", {encoders_, decoders_});
    HostCsr each_item;  // an item is its own user: an epoch is all items, once
    each_item.rows = each_item.columns = items_;
    each_item.row_offsets.resize(static_cast<std::size_t>(items_) + 1);
    each_item.column_indices.resize(static_cast<std::size_t>(items_));
    std::iota(each_item.row_offsets.begin(), each_item.row_offsets.end(), 0);
    std::iota(each_item.column_indices.begin(), each_item.column_indices.end(), 0);
    model_->item_sampling = DeviceSampling(program.backend(), each_item);
    const std::int64_t n = std::min(configuration_.integer("pretrain_batch_size"), items_);
    Batch& batch = model_->item_batch = make_batch(program, n);
    sample_batch(tape, model_->item_sampling.view(), batch);

    const auto rows = [&](Tensor x) { return gather_rows(tape, x, batch, BatchRole::positive); };
    const Features features{rows(features_.image), rows(features_.text)};
    const auto encode = [&](const std::string& name, Tensor x) {
      const Tensor encoded = tape.activation(n, width_);
      layer(tape, *encoders_, name, x, encoded);
      return encoded;
    };
    const Tensor image = encode("en_img", features.image), text = encode("en_txt", features.text);
    const Tensor common_image = common_part(tape, "W_2", image), common_text = common_part(tape, "W_1", text);
    const Tensor own_image = tape.activation(n, width_), own_text = tape.activation(n, width_),
                 gap = tape.activation(n, width_);
    subtract(tape, image, common_image, own_image);
    subtract(tape, text, common_text, own_text);
    subtract(tape, common_image, common_text, gap);
    matrix_norm(tape, "common", 1.0f, gap, MatrixNorm::mean_square, 1.0, true);
    matrix_norm(tape, "specific", 1.0f, row_dot(tape, own_image, own_text), MatrixNorm::mean_square, 1.0,
                true);
    decode(tape, "de_txt", common_text, text, own_text, features.image);
    decode(tape, "de_img", common_image, image, own_image, features.text);

    Schedule& schedule = model_->schedule;
    schedule.pretraining = &program.step("pretraining", {&tape}, items_, n);
    schedule.pretraining_epochs = configuration_.integer("pretrain_epochs");
    schedule.pretraining_learning_rate = configuration_.number("pretrain_learning_rate");
    schedule.pretraining_weight_decay = configuration_.number("pretrain_weight_decay");
  }

  void record_training() {
    Tape& tape = *model_->training;
    const Batch& batch = model_->batch;
    const std::int64_t n = batch.users.count;
    // The positives' rows, and below them the negatives'.
    const auto rows = [&](Tensor x) {
      const Tensor both = tape.activation(2 * n, x.columns);
      gather_rows(tape, x, batch, BatchRole::positive, users_, both.row_range(0, n));
      gather_rows(tape, x, batch, BatchRole::negative, users_, both.row_range(n, n));
      return both;
    };
    const Tensor users = gather_rows(tape, free_users(), batch, BatchRole::user);
    const Tensor parts = tape.activation(2 * n, 4 * width_), items = rows(free_items());
    item_parts(tape, {rows(features_.image), rows(features_.text)}, parts);
    const auto products = [&](Tensor of_items, std::int64_t blocks) {
      const Tensor both = tape.activation(2 * n, blocks);
      for (const std::int64_t first : {std::int64_t{0}, n})
        row_dot(tape, users, of_items.row_range(first, n), both.row_range(first, n));
      return both;
    };
    const Tensor attended = products(parts, 4);
    const Tensor scores = add(tape, products(items, 1), row_dot(tape, softmax(tape, attended), attended));
    reduce(tape, "positive", 1.0f, scores.row_range(0, n), Reduction::softplus_of_negative, true);
    reduce(tape, "negative", 1.0f, scores.row_range(n, n), Reduction::softplus, true);
  }

  const Configuration& configuration_;
  std::int64_t users_, items_, width_;
  std::unique_ptr<Model> model_;
  Arena* encoders_ = nullptr;
  Arena* decoders_ = nullptr;
  Features features_;
};

}  // namespace

ModelDescription describe_pamd() {
  ModelDescription pamd;
  pamd.name = "pamd";
  pamd.summary = "pretrained common and specific parts of two modalities, attended to by the user";
  // By a search on TikTok (docs/results.md): the authors' 100, 1e-3, 1e-5 and 220 take hundreds of epochs
  // there.
  pamd.keys = common_keys(1e-2);
  set_fallback(pamd.keys, "weight_decay", 0.1);
  set_fallback(pamd.keys, "eval_step", std::int64_t{10});
  const std::vector<Key> features = feature_keys();
  pamd.keys.insert(pamd.keys.end(), features.begin(), features.end());
  pamd.keys.push_back(integer_key("pretrain_epochs", 60, 0, 1'000'000,
                                  "passes over the items before the first epoch; 0: no pretraining"));
  pamd.keys.push_back(integer_key("pretrain_batch_size", 100, 1, 1 << 24, "items a pretraining step"));
  pamd.keys.push_back(
      number_key("pretrain_learning_rate", 1e-3, 1e-12, 1.0, "Adam's step size in the pretraining"));
  pamd.keys.push_back(number_key("pretrain_weight_decay", 0.1, 0.0, 1.0,
                                 "in the pretraining, in place of weight_decay: added to the gradient"));
  pamd.keys.push_back(number_key("finetune_learning_rate", 1e-4, 1e-12, 1.0,
                                 "Adam's step size for the encoders after the pretraining"));
  pamd.keys.push_back(number_key("temperature", 0.5, 1e-3, 1e6, "temperature of the pretraining's contrast"));
  pamd.check = require_both_features;
  pamd.files = feature_files;
  pamd.build =
      pamd.parts = [](Backend& backend, Dataset& dataset, const Configuration& configuration,
                      const Progress&) { return Recording(backend, dataset, configuration).record(); };
  pamd.score = Score::attentive;
  return pamd;
}

}  // namespace sea
