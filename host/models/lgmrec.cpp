// LGMRec (Guo et al., "LGMRec: Local and Global Graph Learning for Multimodal Recommendation", AAAI 2024), as
// MMRec's lgmrec.py computes it.

#include "configuration/shared_keys.hpp"
#include "data/graph.hpp"
#include "models/initial_values.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

/// The raw features of a modality, with what is trained on them.
struct Modality {
  std::string name;  ///< image, text
  Tensor features, projection, hyper;
};

std::vector<Modality> begin_modalities(Model& model, Dataset& dataset, const Configuration& configuration) {
  std::vector<Modality> modalities;
  for (ItemFeatures& raw : dataset.features) {
    const std::int64_t width = raw.values.columns;
    const bool visual = raw.modality == "visual";
    Modality modality;
    modality.name = visual ? "image" : "text";
    model.features.push_back(to_device(model.program.backend(), raw.values.values));
    modality.features = model.program.constant(model.features.back().matrix(dataset.items, width));
    raw.values = {};
    modality.projection = model.program.parameter(*model.main, "item_" + modality.name + "_trs", width,
                                                  configuration.integer("embedding_size"), xavier_uniform());
    modality.hyper = model.program.parameter(*model.main, visual ? "v_hyper" : "t_hyper", width,
                                             configuration.integer("hyper_num"), xavier_uniform());
    modalities.push_back(modality);
  }
  return modalities;
}

/// A modality's rows from the hypergraph.
struct Global {
  Tensor users, items;
};

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  const std::int64_t users = dataset.users, items = dataset.items;
  // Hyperedges consist of the items that were trained on. Who was not has no noise, which would change with
  // the place in the file.
  const std::int64_t new_items = dataset.features.front().new_rows, new_users = dataset.new_users;
  const std::int64_t known = items - new_items;
  const Tensor nodes = node_embedding(*model, dataset, configuration);
  const std::vector<Modality> modalities = begin_modalities(*model, dataset, configuration);
  const auto tau = static_cast<float>(configuration.number("tau"));
  const auto keep_rate = static_cast<float>(configuration.number("keep_rate"));

  const auto keep = [&](const HostCsr& graph) {
    return model->graphs.emplace_back(to_device(backend, graph)).view();
  };
  const CsrView a = keep(interaction_graph(dataset.train, dataset.joined));
  const HostCsr sums = pair_graph(dataset.train, false, dataset.joined),
                means = pair_graph(dataset.train, true, dataset.joined);
  const CsrView r = keep(sums), r_transposed = keep(transpose(sums)), r_mean = keep(means),
                r_mean_transposed = keep(transpose(means));

  // Noise and masks are told apart by their streams: those of evaluation are others than training's.
  const auto hyperedges = [&](Tape& tape, const std::string& name, Tensor logits, std::int64_t newcomers,
                              std::uint32_t stream) {
    const bool training = &tape == model->training;
    const std::int64_t known_rows = logits.rows - newcomers;
    const Tensor noise =
        random_noise(tape, Noise::gumbel, known_rows, logits.columns, training ? stream : 4 + stream);
    model->values[(training ? "gumbel." : "scores_gumbel.") + name] = noise;
    const Tensor noisy = tape.activation(logits.rows, logits.columns);
    add(tape, logits.row_range(0, known_rows), noise, noisy.row_range(0, known_rows));
    if (newcomers > 0)
      copy(tape, logits.row_range(known_rows, newcomers), noisy.row_range(known_rows, newcomers));
    const Tensor edges = softmax(tape, noisy, 1.0f / tau);
    if (!training || keep_rate == 1.0f) return edges;
    const Tensor mask = dropout_mask(tape, edges.rows, edges.columns, 1.0f - keep_rate, stream);
    model->values["dropout." + name] = mask;
    return multiply(tape, edges, mask);
  };
  const auto represent = [&](Tape& tape, std::vector<Global>& global) {
    const Tensor propagated =
        propagate(tape, a, a, nodes, configuration.integer("n_ui_layers"), Layers::mean);
    Tensor sum = propagated;
    for (const Modality& modality : modalities) {
      const Tensor projected =
          matmul(tape, Transpose::no, Transpose::no, modality.features, modality.projection);
      const Tensor local = tape.activation(users + items, projected.columns);
      spmm(tape, r_mean, r_mean_transposed, projected, local.row_range(0, users));
      copy(tape, projected, local.row_range(users, items));
      const Tensor last = propagate(tape, a, a, local, configuration.integer("n_mm_layers"), Layers::last);
      sum = add(tape, sum, row_normalize(tape, last));
    }
    std::uint32_t stream = 0;
    for (const Modality& modality : modalities) {
      const Tensor item_logits =
          matmul(tape, Transpose::no, Transpose::no, modality.features, modality.hyper);
      const Tensor user_logits = spmm(tape, r, r_transposed, item_logits);
      const Tensor item_edges = hyperedges(tape, modality.name + "_items", item_logits, new_items, stream++);
      const Tensor user_edges = hyperedges(tape, modality.name + "_users", user_logits, new_users, stream++);
      Global rows{{}, propagated.row_range(users, items)};
      Tensor edge_rows;
      for (std::int64_t layer = 0; layer < configuration.integer("n_hyper_layer"); ++layer) {
        edge_rows = matmul(tape, Transpose::yes, Transpose::no, item_edges.row_range(0, known),
                           rows.items.row_range(0, known));
        rows.items = matmul(tape, Transpose::no, Transpose::no, item_edges, edge_rows);
      }
      rows.users = matmul(tape, Transpose::no, Transpose::no, user_edges, edge_rows);
      global.push_back(rows);
    }
    const Tensor both = tape.activation(users + items, nodes.columns);
    add(tape, global[0].users, global[1].users, both.row_range(0, users));
    add(tape, global[0].items, global[1].items, both.row_range(users, items));
    sum = add(tape, sum,
              scale(tape, static_cast<float>(configuration.number("alpha")), row_normalize(tape, both)));
    return Embeddings{sum.row_range(0, users), sum.row_range(users, items)};
  };

  Tape& tape = *model->training;
  std::vector<Global> global;
  const Embeddings embeddings = represent(tape, global);
  regularized_bpr(*model, configuration, embeddings, embeddings);
  // Visual rows of the batch against the textual ones of all.
  ContrastiveSettings settings;
  settings.temperature = tau;
  settings.mean = false;
  const auto contrast = [&](const std::string& name, Tensor visual, Tensor textual, BatchRole role,
                            std::int64_t first, Indices positives) {
    const Tensor queries = row_normalize(tape, gather_rows(tape, visual, model->batch, role, first));
    contrastive(tape, name, static_cast<float>(configuration.number("cl_weight")), queries,
                row_normalize(tape, textual), positives, settings, true);
  };
  contrast("contrast_users", global[0].users, global[1].users, BatchRole::user, 0, model->batch.users);
  contrast("contrast_items", global[0].items, global[1].items, BatchRole::positive, users,
           model->batch.positives);
  std::vector<Global> evaluated;
  finish_model(*model, represent(*model->evaluation, evaluated));
  return model;
}

}  // namespace

ModelDescription describe_lgmrec() {
  ModelDescription lgmrec;
  lgmrec.name = "lgmrec";
  lgmrec.summary = "propagated embeddings and features, and a hypergraph of few edges per modality";
  lgmrec.keys = common_keys(1e-3);
  const std::vector<Key> features = feature_keys();
  lgmrec.keys.insert(lgmrec.keys.end(), features.begin(), features.end());
  const auto layers = [&](const std::string& name, std::int64_t fallback, const std::string& meaning) {
    lgmrec.keys.push_back(integer_key(name, fallback, 1, 64, meaning));
  };
  layers("n_ui_layers", 2, "propagations of the embeddings on the interaction graph");
  layers("n_mm_layers", 2, "propagations of the features on it");
  layers("n_hyper_layer", 1, "passages through the hyperedges");
  lgmrec.keys.push_back(integer_key("hyper_num", 4, 1, 4096, "hyperedges per modality"));
  lgmrec.keys.push_back(number_key("keep_rate", 0.5, 0.01, 1.0,
                                   "share of a node's memberships in hyperedges that a step keeps"));
  lgmrec.keys.push_back(number_key("alpha", 0.3, 0.0, 1e6, "weight of the hypergraph's rows"));
  lgmrec.keys.push_back(
      number_key("tau", 0.2, 0.025, 1e6, "temperature of the memberships and of the contrast"));
  lgmrec.keys.push_back(number_key("cl_weight", 1e-4, 0.0, 1e6, "weight of the contrast of the modalities"));
  lgmrec.keys.push_back(
      number_key("reg_weight", 1e-6, 0.0, 1e6, "weight of the norms of the batch's representations"));
  lgmrec.check = require_both_features;
  lgmrec.files = feature_files;
  lgmrec.build = build;
  return lgmrec;
}

}  // namespace sea
