// MMSSL (Wei et al., "Multi-Modal Self-Supervised Learning for Recommendation", WWW 2023), as HKUDS/MMSSL
// computes it: what of its code has no influence on a number is left out.

#include <fmt/format.h>

#include <array>
#include <deque>

#include "configuration/shared_keys.hpp"
#include "models/initial_values.hpp"
#include "models/likeness_graphs.hpp"
#include "models/modules.hpp"
#include "models/recording.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// Pairs are kept in a state, whose numbers are floats: whole numbers up to here are exact.
constexpr std::int64_t most_pairs = std::int64_t{1} << 24;
constexpr float discriminator_scale = 100.0f;
constexpr float penalty_scale = 0.3f;

const std::array<std::string, 2> modalities = {"image", "text"};

/// The streams of a program's draws.
enum Stream : std::uint32_t {
  of_features = 0,
  of_first_layer = 4,
  of_second_layer = 5,
  of_noise = 6,
  of_mix = 7
};

/// What the representations are made of, and they themselves.
struct Forward {
  std::array<Tensor, 2> user_features, item_features;  ///< of a modality, through the interactions
  std::array<Tensor, 2> like_users;                    ///< free items through a modality's graph
  Embeddings embeddings;
};

/// What the discriminator makes of rows, group by group of equally many.
struct Discriminated {
  std::array<Tensor, 2> layers, masks;
  std::array<std::vector<ColumnStatistics>, 2> statistics;
  Tensor probabilities;
};

class Recording {
 public:
  Recording(Backend& backend, Dataset& dataset, const Configuration& configuration)
      : configuration_(configuration),
        dataset_(dataset),
        users_(dataset.users),
        items_(dataset.items),
        width_(configuration.integer("embedding_size")),
        hidden_{items_ / 4, items_ / 8},
        model_(begin_model(backend, dataset, settings_of(configuration))),
        program_(model_->program),
        batch_size_(model_->batch.users.count) {
    if (items_ < 8) throw Error(fmt::format("mmssl needs at least 8 items; {} are here", items_));
    ArenaSettings arena;
    arena.learning_rate = configuration.number("discriminator_learning_rate");
    arena.adam.beta1 = 0.5;
    arena.adam.beta2 = 0.9;
    discriminator_ = &program_.arena("discriminator", arena);
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      HostMatrix& raw = dataset.features.at(m).values;
      const Buffer<float>& values = model_->features.emplace_back(to_device(backend, raw.values));
      features_[m] = program_.constant(values.matrix(items_, raw.columns));
      raw = {};
    }
    interactions_ = interaction_pairs(*model_, dataset.train);
    make_graphs();
  }

  std::unique_ptr<Model> record() {
    Tape& first = further_training_tape(*model_, dataset_, "discriminator", {discriminator_});
    record_discriminator(first);
    record_generator(*model_->training);
    add_step(*model_, "step", {&first, model_->training});
    const Embeddings embeddings = forward(*model_->evaluation, "").embeddings;
    finish_model(*model_, embeddings);
    return std::move(model_);
  }

 private:
  static TrainingSettings settings_of(const Configuration& configuration) {
    TrainingSettings settings = training_settings(configuration);
    settings.batches = Batches::users;
    settings.decoupled = true;
    return settings;
  }
  float number(const char* key) const { return static_cast<float>(configuration_.number(key)); }

  /// The graphs of likenesses, and when they change.
  void make_graphs() {
    const std::int64_t period = configuration_.integer("T");
    const std::int64_t steps = model_->epoch_pairs / batch_size_;
    const auto k =
        static_cast<std::int64_t>(configuration_.number("m_topk_rate") * static_cast<double>(items_));
    // Most batches from one rebuilding to the next; none is kept where none ever comes.
    const std::int64_t listed = period < steps ? (steps - 1) % period + period : 0;
    const std::int64_t capacity = listed * batch_size_ * k;
    if (capacity > most_pairs) {
      throw UsageError(fmt::format(
          "T is {}, m_topk_rate {}, train_batch_size {}: lists of {} pairs are too "
          "long; at most {} are kept",
          period, to_text(configuration_.value("m_topk_rate")), batch_size_, capacity, most_pairs));
    }
    lists_ = capacity > 0;
    const auto graphs = std::make_shared<std::deque<LikenessGraph>>();
    for (std::size_t m = 0; m < modalities.size(); ++m)
      views_[m] = graphs->emplace_back(*model_, dataset_.train, modalities[m], k, capacity).view();
    Model* const model = model_.get();
    model->schedule.begin_epoch = [graphs, restored = false](std::int64_t) mutable {
      if (std::exchange(restored, true)) return;
      for (LikenessGraph& graph : *graphs) graph.restore();
    };
    model->schedule.after_step = [graphs, model, period, lists = lists_](std::int64_t, std::int64_t i) {
      if (i > 0 && i % period == 0) {
        for (LikenessGraph& graph : *graphs) graph.rebuild();
        return;
      }
      if (!lists) return;
      Backend& backend = model->program.backend();
      const IndexView batch = model->program.value(model->batch.users);
      std::vector<std::int32_t> of_batch(batch.size());
      backend.copy_to_host(of_batch.data(), batch.data(), batch.size_bytes());
      for (std::size_t m = 0; m < modalities.size(); ++m)
        (*graphs)[m].append(model->program.value(model->values.at("likeness." + modalities[m])), of_batch);
    };
  }

  Tensor parameter(const std::string& name, std::int64_t rows, std::int64_t columns,
                   const Initializer& initial) {
    return program_.parameter(*model_->main, name, rows, columns, initial);
  }

  /// The representations; in training, which `draws` begins the names of, with dropout of the features.
  Forward forward(Tape& tape, const std::string& draws) {
    const Tensor free_users = parameter("user_id_embedding.weight", users_, width_, xavier_uniform());
    const Tensor free_items = parameter("item_id_embedding.weight", items_, width_, xavier_uniform());
    Forward result;
    std::array<Tensor, 2> like_items;
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      Tensor features = linear(tape, features_[m],
                               linear_parameters(*model_, modalities[m] + "_trans", features_[m].columns,
                                                 width_, xavier_uniform()));
      if (!draws.empty()) {
        const auto stream = static_cast<std::uint32_t>(of_features + m + (draws == "g." ? 2 : 0));
        const Tensor mask = dropout_mask(tape, items_, width_, number("drop_rate"), stream);
        model_->values[draws + modalities[m]] = mask;
        features = multiply(tape, features, mask);
      }
      result.user_features[m] = to_users(tape, interactions_, features);
      result.item_features[m] = to_items(tape, interactions_, result.user_features[m]);
      result.like_users[m] = to_users(tape, views_[m], free_items);
      like_items[m] = to_items(tape, views_[m], free_users);
    }

    const std::int64_t heads = configuration_.integer("head_num");
    const Tensor stacked =
        parameter("weight_dict.w_self_attention_cat", heads * width_, width_, xavier_uniform());
    Tensor attention = stacked.row_range(0, width_);
    for (std::int64_t head = 1; head < heads; ++head)
      attention = add(tape, attention, stacked.row_range(head * width_, width_));
    const auto attended = [&](Tensor free, const std::array<Tensor, 2>& alike) {
      const Tensor mean = scale(tape, 0.5f, add(tape, alike[0], alike[1]));
      const Tensor mixed = matmul(tape, Transpose::no, Transpose::no, mean, attention);
      return add(tape, free, scale(tape, number("id_cat_rate"), row_normalize(tape, mixed)));
    };
    Tensor users = attended(free_users, result.like_users), items = attended(free_items, like_items);
    Tensor user_sum = users, item_sum = items;
    const std::int64_t layers = configuration_.integer("n_ui_layers");
    for (std::int64_t layer = 1; layer <= layers; ++layer) {
      users = to_users(tape, interactions_, items);
      if (layer == layers) users = softmax(tape, users);
      items = to_items(tape, interactions_, users);
      if (layer == layers) items = softmax(tape, items);
      user_sum = add(tape, user_sum, users);
      item_sum = add(tape, item_sum, items);
    }
    const auto together = [&](Tensor sum, const std::array<Tensor, 2>& features) {
      const Tensor directions = add(tape, row_normalize(tape, features[0]), row_normalize(tape, features[1]));
      return add(tape, scale(tape, 1.0f / static_cast<float>(layers + 1), sum),
                 scale(tape, number("model_cat_rate"), directions));
    };
    result.embeddings = {together(user_sum, result.user_features), together(item_sum, result.item_features)};
    return result;
  }
  static Tensor to_users(Tape& tape, const PairGraph& graph, Tensor items) {
    return spmm(tape, graph.of_users, graph.of_users_transposed, items);
  }
  static Tensor to_items(Tape& tape, const PairGraph& graph, Tensor users) {
    return spmm(tape, graph.of_items, graph.of_items_transposed, users);
  }

  Tensor batch_rows(Tape& tape, Tensor users) {
    return gather_rows(tape, users, model_->batch, BatchRole::user);
  }
  /// The likenesses of the batch's users to all items as unit rows, those of seen items 0, written into y.
  void likeness(Tape& tape, Tensor users, Tensor items, Tensor unseen, Tensor y) {
    const Tensor products = matmul(tape, Transpose::no, Transpose::yes, batch_rows(tape, users), items);
    row_normalize(tape, multiply(tape, products, unseen), y);
  }
  /// The likenesses of both modalities, one below the other.
  void fake_rows(Tape& tape, const Forward& of, Tensor unseen, Tensor y) {
    for (std::size_t m = 0; m < modalities.size(); ++m)
      likeness(tape, of.user_features[m], of.item_features[m], unseen,
               y.row_range(static_cast<std::int64_t>(m) * batch_size_, batch_size_));
  }

  struct Layer {
    Tensor weight, bias;
  };
  Layer discriminator_layer(const std::string& name, std::int64_t in, std::int64_t out) {
    return {program_.parameter(*discriminator_, "discriminator.net." + name + ".weight", out, in,
                               kaiming_normal()),
            program_.parameter(*discriminator_, "discriminator.net." + name + ".bias", 1, out,
                               constant_value(0.0f))};
  }
  Layer normalization(const std::string& name, std::int64_t columns) {
    return {program_.parameter(*discriminator_, "discriminator.net." + name + ".weight", 1, columns,
                               constant_value(1.0f)),
            program_.parameter(*discriminator_, "discriminator.net." + name + ".bias", 1, columns,
                               constant_value(0.0f))};
  }
  static constexpr std::array<const char*, 2> layer_names = {"0", "4"}, normalization_names = {"2", "6"};

  /// The discriminator's first linear layer.
  Tensor first_layer(Tape& tape, Tensor x) {
    const Layer layer = discriminator_layer(layer_names[0], items_, hidden_[0]);
    return linear(tape, x, layer.weight, layer.bias);
  }
  /// The discriminator from what its first layer makes of groups of 2 batches of rows: each has statistics
  /// and masks of its own. Its "leaky ReLUs" have slope 1, and are none.
  Discriminated discriminate(Tape& tape, Tensor first, const std::vector<std::string>& groups) {
    Discriminated result;
    Tensor x = first;
    const std::int64_t rows = 2 * batch_size_;
    const std::array<const char*, 2> dropouts = {"G_drop1", "G_drop2"};
    const auto offset = static_cast<std::uint32_t>(groups.size() == 1 ? 4 : 0);
    for (std::size_t l = 0; l < 2; ++l) {
      if (l > 0) {
        const Layer layer = discriminator_layer(layer_names[l], x.columns, hidden_[l]);
        x = linear(tape, x, layer.weight, layer.bias);
      }
      const Layer norm = normalization(normalization_names[l], hidden_[l]);
      const Tensor h = result.layers[l] = x;
      const Tensor normal = tape.activation(h.rows, h.columns);
      const Tensor mask = result.masks[l] =
          dropout_mask(tape, h.rows, h.columns, number(dropouts[l]),
                       static_cast<std::uint32_t>(of_first_layer + l) + offset);
      for (std::size_t g = 0; g < groups.size(); ++g) {
        const std::int64_t begin = static_cast<std::int64_t>(g) * rows;
        result.statistics[l].push_back(batch_norm(tape, h.row_range(begin, rows), norm.weight, norm.bias,
                                                  normal.row_range(begin, rows)));
        model_->values[fmt::format("{}.{}", groups[g], l + 1)] = mask.row_range(begin, rows);
      }
      x = multiply(tape, normal, mask);
    }
    const Layer last = discriminator_layer("8", hidden_[1], 1);
    result.probabilities = activate(tape, Activation::sigmoid, linear(tape, x, last.weight, last.bias));
    return result;
  }

  void record_discriminator(Tape& tape) {
    const Forward of = forward(tape, "d.");
    const std::int64_t b = batch_size_, rows = 2 * b;
    const CsrPatternView history = model_->sampling.view().history;
    const Tensor seen = history_rows(tape, history, model_->batch, false),
                 unseen = history_rows(tape, history, model_->batch, true);
    const Tensor distinct = tape.activation(3 * b, items_);
    fake_rows(tape, of, unseen, distinct.row_range(0, rows));

    const Tensor noise = random_noise(tape, Noise::gumbel, b, items_, of_noise);
    model_->values["d.gumbel"] = noise;
    const float noise_scale = number("log_log_scale") / number("real_data_tau");
    const Tensor choice = softmax(tape, add(tape, seen, scale(tape, noise_scale, noise)));
    const Tensor alike = tape.activation(b, items_);
    likeness(tape, of.embeddings.users, of.embeddings.items, unseen, alike);
    row_normalize(tape, add(tape, choice, scale(tape, number("ui_pre_scale"), alike)),
                  distinct.row_range(rows, b));

    // The real rows stand twice, and the mixed ones lie between them and the fake ones: the first layer,
    // which is linear, is the same on all of them, and is taken of the distinct rows alone.
    const Tensor of_distinct = first_layer(tape, distinct);
    const Tensor all = tape.activation(3 * rows, of_distinct.columns);
    const Tensor fake = all.row_range(0, rows), real = all.row_range(rows, rows);
    copy(tape, of_distinct.row_range(0, rows), fake);
    for (const std::int64_t first : {std::int64_t{0}, b})
      copy(tape, of_distinct.row_range(rows, b), real.row_range(first, b));
    const Tensor alpha = random_noise(tape, Noise::uniform, rows, 1, of_mix);
    model_->values["d.alpha"] = alpha;
    const Tensor way = modality_weight(tape, add(tape, real, scale(tape, -1.0f, fake)), alpha);
    add(tape, fake, way, all.row_range(2 * rows, rows));

    const Discriminated d = discriminate(tape, all, {"d.fake", "d.real", "d.mixed"});
    const Tensor scores = scale(tape, discriminator_scale, d.probabilities);
    reduce(tape, "fake", 1.0f, scores.row_range(0, rows), Reduction::mean, false);
    reduce(tape, "real", -1.0f, scores.row_range(rows, rows), Reduction::mean, false);
    penalize_gradient(tape, d, 2 * rows);
  }

  /// The mean gap to 1 of the norms of the gradient of the discriminator's sum with respect to its input, in
  /// the rows from `first` on: its backward written as operations, which are differentiated like all others.
  void penalize_gradient(Tape& tape, const Discriminated& d, std::int64_t first) {
    const std::int64_t rows = 2 * batch_size_;
    const Tensor y = d.probabilities.row_range(first, rows);
    const Tensor slope = add(tape, y, scale(tape, -1.0f, multiply(tape, y, y)));
    const auto through = [&](Tensor gradient, const Layer& layer) {
      return matmul(tape, Transpose::no, Transpose::no, gradient, layer.weight);
    };
    Tensor gradient =
        through(scale(tape, discriminator_scale, slope), discriminator_layer("8", hidden_[1], 1));
    for (const std::size_t l : {1, 0}) {
      gradient = multiply(tape, gradient, d.masks[l].row_range(first, rows));
      gradient = batch_norm_gradient(tape, d.layers[l].row_range(first, rows), gradient,
                                     normalization(normalization_names[l], hidden_[l]).weight,
                                     d.statistics[l].back());
      gradient =
          through(gradient, discriminator_layer(layer_names[l], l == 0 ? items_ : hidden_[0], hidden_[l]));
    }
    reduce(tape, "penalty", number("gp_rate") * penalty_scale, gradient, Reduction::unit_norm_gap, false);
  }

  void record_generator(Tape& tape) {
    const Forward of = forward(tape, "g.");
    const Embeddings& z = of.embeddings;
    const Tensor unseen = history_rows(tape, model_->sampling.view().history, model_->batch, true);
    const Tensor fake = tape.activation(2 * batch_size_, items_);
    fake_rows(tape, of, unseen, fake);
    for (std::size_t m = 0; m < modalities.size(); ++m)
      model_->values["likeness." + modalities[m]] =
          fake.row_range(static_cast<std::int64_t>(m) * batch_size_, batch_size_);
    if (lists_) tape.keep(fake);
    bpr(tape, "bpr", 1.0f, BprSum::mean, z.users, z.items, model_->batch);
    embedding_norm(tape, "norm", batch_share(configuration_, "reg_weight"), EmbeddingNorm::half_squares,
                   z.users, z.items, model_->batch);
    const ContrastiveSettings contrast{number("tau"), true, true, 1e-8f};
    const Tensor directions = row_normalize(tape, batch_rows(tape, z.users));
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      for (const auto& [whose, features] :
           {std::pair("users", of.user_features[m]), {"items", of.item_features[m]}}) {
        matrix_norm(tape, fmt::format("features.{}.{}", modalities[m], whose), number("feat_reg_decay"),
                    features, MatrixNorm::half_squares, static_cast<double>(items_), false);
      }
      contrastive(tape, "contrast." + modalities[m], number("cl_rate"),
                  row_normalize(tape, batch_rows(tape, of.like_users[m])), directions, {}, contrast, true);
    }
    const Discriminated d = discriminate(tape, first_layer(tape, fake), {"g.fake"});
    reduce(tape, "adversarial", -number("G_rate"), scale(tape, discriminator_scale, d.probabilities),
           Reduction::mean, false);
  }

  const Configuration& configuration_;
  const Dataset& dataset_;
  std::int64_t users_, items_, width_;
  std::array<std::int64_t, 2> hidden_;
  std::unique_ptr<Model> model_;
  Program& program_;
  std::int64_t batch_size_;
  Arena* discriminator_ = nullptr;
  std::array<Tensor, 2> features_;
  PairGraph interactions_;
  std::array<PairGraph, 2> views_;
  bool lists_ = false;
};

}  // namespace

ModelDescription describe_mmssl() {
  ModelDescription mmssl;
  mmssl.name = "mmssl";
  mmssl.summary = "likenesses of two modalities against a discriminator, and a contrast of their graphs";
  std::vector<Key>& keys = mmssl.keys = common_keys(5.5e-4);
  set_fallback(keys, "train_batch_size", std::int64_t{1024});
  set_fallback(keys, "weight_decay", 0.01);
  set_fallback(keys, "stopping_step", std::int64_t{7});
  for (Key& key : keys) {
    if (key.name == "weight_decay")
      key.meaning = "decoupled: an update first takes learning_rate times this much of the parameter away";
  }
  const std::vector<Key> features = feature_keys();
  keys.insert(keys.end(), features.begin(), features.end());
  const auto number_of = [&](const char* name, double fallback, double minimum, double maximum,
                             const char* meaning) {
    keys.push_back(number_key(name, fallback, minimum, maximum, meaning));
  };
  number_of("discriminator_learning_rate", 3e-4, 1e-12, 1.0, "Adam's step size for the discriminator");
  keys.push_back(integer_key("n_ui_layers", 2, 1, 64, "propagations on the interaction graph"));
  keys.push_back(integer_key("head_num", 4, 1, 64, "matrices that the attention adds up"));
  number_of("drop_rate", 0.2, 0.0, 0.99, "dropout of the projected features");
  number_of("G_drop1", 0.31, 0.0, 0.99, "dropout behind the discriminator's first layer");
  number_of("G_drop2", 0.5, 0.0, 0.99, "dropout behind its second layer");
  number_of("model_cat_rate", 0.55, 0.0, 1e6, "weight of the modalities in the representations");
  number_of("id_cat_rate", 0.36, 0.0, 1e6, "weight of the modalities' graphs in them");
  number_of("reg_weight", 1e-5, 0.0, 1e6, "weight of the squares of the batch's representations");
  number_of("feat_reg_decay", 1e-5, 0.0, 1e6, "weight of the squares of the propagated features");
  number_of("cl_rate", 0.03, 0.0, 1e6, "weight of the contrast");
  number_of("tau", 0.5, 0.025, 1e6, "temperature of the contrast");
  number_of("G_rate", 1e-4, 0.0, 1e6, "weight of the discriminator in the model's loss");
  number_of("gp_rate", 1.0, 0.0, 1e6, "weight of the discriminator's gradient penalty");
  number_of("real_data_tau", 0.005, 1e-6, 1e6, "what the noise of the real rows is divided by");
  number_of("log_log_scale", 1e-5, 0.0, 1e6, "what it is multiplied by");
  number_of("ui_pre_scale", 100.0, 0.0, 1e6, "weight of the present scores in the real rows");
  keys.push_back(
      integer_key("T", 1, 1, 1'000'000'000, "steps from one rebuilding of the graphs to the next"));
  number_of("m_topk_rate", 1e-4, 0.0, 1.0, "share of the items that a batch's user is listed with");
  mmssl.check = require_both_features;
  mmssl.files = feature_files;
  mmssl.build = [](Backend& backend, Dataset& dataset, const Configuration& configuration, const Progress&) {
    return Recording(backend, dataset, configuration).record();
  };
  mmssl.refuses_newcomers = "its graphs change during the training, and those of the best epoch are not kept";
  return mmssl;
}

}  // namespace sea
