// MMGCN (Wei et al., "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of
// Micro-video", MM 2019). As MMRec's mmgcn.py computes it: the free embeddings are never trained.

#include <fmt/format.h>

#include "configuration/shared_keys.hpp"
#include "data/graph.hpp"
#include "models/initial_values.hpp"
#include "models/modules.hpp"
#include "models/recording.hpp"

namespace sea {

namespace {

constexpr std::int64_t layers = 3;
constexpr std::int64_t visual_width = 256;
constexpr float slope = 0.01f;

/// One modality's network.
struct Network {
  std::string name;  ///< v_gcn, t_gcn
  Tensor features, preference;
  std::int64_t width;  ///< of its nodes before the first layer
};

/// Records one modality's network up to its last layer (nodes x e).
Tensor record_network(Model& model, Tape& tape, const Network& network, Tensor id_embedding,
                      const CsrView& graph, const CsrView& transposed) {
  const std::int64_t users = network.preference.rows, e = id_embedding.columns;
  Tensor items = network.features;
  if (network.name == "v_gcn") {
    items = linear(tape, items, linear_parameters(model, network.name + ".MLP", items.columns, visual_width));
  }
  Tensor z = tape.activation(id_embedding.rows, network.width);
  row_normalize(tape, network.preference, z.row_range(0, users));
  row_normalize(tape, items, z.row_range(users, items.rows));
  for (std::int64_t layer = 1; layer <= layers; ++layer) {
    const auto name = [&](const char* part) { return fmt::format("{}.{}{}", network.name, part, layer); };
    const std::int64_t width = z.columns;
    const Tensor both = tape.activation(z.rows, width + e);
    // (P Z) C, not P (Z C): nothing behind the textual features is trained, so that its first product with
    // the transposed graph falls away.
    const Tensor convolution =
        model.program.parameter(*model.main, name("conv_embed_") + ".weight", width, width, xavier_normal());
    const Tensor mean = propagate(tape, graph, transposed, z, 1, Layers::last);
    leaky_relu(tape, matmul(tape, Transpose::no, Transpose::no, mean, convolution), slope,
               both.column_range(0, width));
    const Tensor own =
        linear(tape, z, linear_parameters(model, name("linear_layer"), width, e, xavier_normal()));
    add(tape, leaky_relu(tape, own, slope), id_embedding, both.column_range(width, e));
    const LinearParameters join =
        linear_parameters(model, name("g_layer"), width + e, e, layer == 1 ? xavier_normal() : Initializer());
    z = leaky_relu(tape, linear(tape, both, join), slope);
  }
  return z;
}

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items,
                     e = configuration.integer("embedding_size");
  const HostCsr mean = mean_graph(dataset.train, false, dataset.joined);
  const CsrView graph = model->graphs.emplace_back(to_device(backend, mean)).view();
  const CsrView transposed = model->graphs.emplace_back(to_device(backend, transpose(mean))).view();
  const Tensor id_embedding = program.state("id_embedding", users + items, e, xavier_normal());
  std::vector<Network> networks;
  for (ItemFeatures& modality : dataset.features) {
    const std::string name = modality.modality == "visual" ? "v_gcn" : "t_gcn";
    const std::int64_t columns = modality.values.columns,
                       width = modality.modality == "visual" ? visual_width : columns;
    const Buffer<float>& raw = model->features.emplace_back(to_device(backend, modality.values.values));
    modality.values = {};
    networks.push_back({name, program.constant(raw.matrix(items, columns)),
                        program.state(name + ".preference", users, width, xavier_normal()), width});
  }

  const auto represent = [&](Tape& tape) {
    std::vector<Tensor> last;
    for (const Network& network : networks)
      last.push_back(record_network(*model, tape, network, id_embedding, graph, transposed));
    const Tensor nodes = last.size() == 1 ? last[0] : scale(tape, 0.5f, add(tape, last[0], last[1]));
    return Embeddings{nodes.row_range(0, users), nodes.row_range(users, items)};
  };
  Tape& tape = *model->training;
  const Embeddings embeddings = represent(tape);
  bpr(tape, "bpr", 1.0f, BprSum::mean, embeddings.users, embeddings.items, model->batch);

  // MMRec's regulariser, of arrays that are not trained: reported, without a gradient.
  const double reg_weight = configuration.number("reg_weight");
  const auto report = [&](const std::string& name, double share, Tensor x, bool batch_rows) {
    matrix_norm(tape, name, static_cast<float>(reg_weight * share), x, MatrixNorm::mean_square, 1.0,
                batch_rows);
  };
  if (reg_weight > 0.0) {
    const Tensor item_rows = id_embedding.row_range(users, items);
    report("norm_users", 1.0,
           gather_rows(tape, id_embedding.row_range(0, users), model->batch, BatchRole::user), true);
    report("norm_positives", 0.5, gather_rows(tape, item_rows, model->batch, BatchRole::positive, users),
           true);
    report("norm_negatives", 0.5, gather_rows(tape, item_rows, model->batch, BatchRole::negative, users),
           true);
    if (networks.front().name == "v_gcn") report("norm_preference", 1.0, networks.front().preference, false);
  }
  finish_model(*model, represent(*model->evaluation));
  return model;
}

}  // namespace

ModelDescription describe_mmgcn() {
  ModelDescription mmgcn;
  mmgcn.name = "mmgcn";
  mmgcn.summary = "a graph convolution of three layers for each modality, on mean neighbours";
  mmgcn.keys = common_keys(1e-3);
  const std::vector<Key> features = feature_keys();
  mmgcn.keys.insert(mmgcn.keys.end(), features.begin(), features.end());
  mmgcn.keys.push_back(number_key("reg_weight", 0.0, 0.0, 1e6,
                                  "weight of norms of untrained arrays: in the reported loss alone"));
  mmgcn.check = require_features;
  mmgcn.files = feature_files;
  mmgcn.build = build;
  return mmgcn;
}

}  // namespace sea
