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

/// The mean over a node's neighbours, of all nodes and of users and items alone, with the transposes that
/// gradients need.
struct MeanGraph {
  CsrView nodes, nodes_transposed;
  CsrView users, users_transposed;  ///< users x items
  CsrView items;                    ///< items x users
};

MeanGraph upload_graph(Model& model, const Dataset& dataset) {
  const HostCsr nodes = mean_graph(dataset.train, false, dataset.joined),
                users = user_block(nodes, dataset.users);
  const auto upload = [&](const HostCsr& graph) {
    return model.graphs.emplace_back(to_device(model.program.backend(), graph)).view();
  };
  return {upload(nodes), upload(transpose(nodes)), upload(users), upload(transpose(users)),
          upload(item_block(nodes, dataset.users))};
}

/// What the preferences, which nothing trains, give to the first layer: their unit rows (users x width), and
/// the means of these over the items' users (items x width).
struct Preferred {
  Tensor unit, means;
};

/// One modality's network.
struct Network {
  std::string name;  ///< v_gcn, t_gcn
  Tensor features, preference;
  std::int64_t width;   ///< of its nodes before the first layer
  Preferred preferred;  ///< as training reads it
};

/// Computed before each epoch, not in each step: the preferences are a state, which a checkpoint brings back.
Preferred keep_preferred(Model& model, const MeanGraph& graph, Tensor preference) {
  Program& program = model.program;
  Backend& backend = program.backend();
  const std::int64_t users = preference.rows, items = graph.items.rows, width = preference.columns;
  const auto memory = [&](std::int64_t size) -> const Buffer<float>& {
    return model.features.emplace_back(Buffer<float>(backend, size));
  };
  const MatrixView unit = memory(users * width).matrix(users, width);
  const MatrixView means = memory(items * width).matrix(items, width);
  const VectorView inverse_norms = memory(users).span();
  const auto earlier = model.schedule.begin_epoch;
  model.schedule.begin_epoch = [=, &program, &backend](std::int64_t epoch) {
    if (earlier) earlier(epoch);
    backend.row_normalize(program.value(preference), unit, inverse_norms);
    backend.spmm(graph.items, unit, {}, means);
  };
  return {program.constant(unit), program.constant(means)};
}

/// Records networks on a tape. In training the last layer has the rows of the batch alone, see
/// gather_triples; in evaluation all nodes.
class Recording {
 public:
  Recording(Model& model, Tape& tape, const MeanGraph& graph, Tensor id_embedding, std::int64_t users)
      : model_(model),
        tape_(tape),
        graph_(graph),
        id_embedding_(id_embedding),
        users_(users),
        items_(id_embedding.rows - users),
        trains_(&tape == model.training) {}

  /// One modality's network up to its last layer (rows x e).
  Tensor record(const Network& network) {
    Tensor z = first_layer(network);
    for (std::int64_t layer = 2; layer <= layers; ++layer) {
      Tensor mean = propagate(tape_, graph_.nodes, graph_.nodes_transposed, z, 1, Layers::last),
             id_embedding = id_embedding_;
      if (layer == layers && trains_) {
        for (Tensor* nodes : {&mean, &z, &id_embedding})
          *nodes = gather_triples(tape_, *nodes, users_, model_.batch);
      }
      const Tensor both = tape_.activation(z.rows, z.columns + id_embedding.columns);
      convolve(network, layer, mean, both);
      add_own(network, layer, z, id_embedding, both);
      z = join(network, layer, both);
    }
    return z;
  }

 private:
  /// The preferences are not trained: what they give is no more than read, and no gradient flows into their
  /// rows. Of the users' means of items it is the items' rows that are multiplied, which are fewer.
  Tensor first_layer(const Network& network) {
    Tensor items = network.features;
    if (network.name == "v_gcn") {
      items =
          linear(tape_, items, linear_parameters(model_, network.name + ".MLP", items.columns, visual_width));
    }
    items = row_normalize(tape_, items);
    Preferred preferred = network.preferred;
    if (!trains_) {
      preferred.unit = row_normalize(tape_, network.preference);
      preferred.means = spmm(tape_, graph_.items, {}, preferred.unit);
    }
    const Tensor both = tape_.activation(users_ + items_, network.width + id_embedding_.columns);
    const Tensor of_users = both.row_range(0, users_), of_items = both.row_range(users_, items_);
    const Tensor product =
        matmul(tape_, Transpose::no, Transpose::no, items, convolution(network, 1, network.width));
    leaky_relu(tape_, spmm(tape_, graph_.users, graph_.users_transposed, product), slope,
               of_users.column_range(0, network.width));
    convolve(network, 1, preferred.means, of_items);
    add_own(network, 1, preferred.unit, id_embedding_.row_range(0, users_), of_users);
    add_own(network, 1, items, id_embedding_.row_range(users_, items_), of_items);
    return join(network, 1, both);
  }

  /// The left columns of `both`: of the mean over neighbours.
  void convolve(const Network& network, std::int64_t layer, Tensor mean, Tensor both) {
    const Tensor product =
        matmul(tape_, Transpose::no, Transpose::no, mean, convolution(network, layer, mean.columns));
    leaky_relu(tape_, product, slope, both.column_range(0, mean.columns));
  }
  /// The right columns: of the rows themselves.
  void add_own(const Network& network, std::int64_t layer, Tensor z, Tensor id_embedding, Tensor both) {
    const std::int64_t e = id_embedding.columns;
    const Tensor own = linear(
        tape_, z,
        linear_parameters(model_, name(network, "linear_layer", layer), z.columns, e, xavier_normal()));
    add(tape_, leaky_relu(tape_, own, slope), id_embedding, both.column_range(z.columns, e));
  }
  Tensor join(const Network& network, std::int64_t layer, Tensor both) {
    const LinearParameters parameters =
        linear_parameters(model_, name(network, "g_layer", layer), both.columns, id_embedding_.columns,
                          layer == 1 ? xavier_normal() : Initializer());
    return leaky_relu(tape_, linear(tape_, both, parameters), slope);
  }

  static std::string name(const Network& network, const char* part, std::int64_t layer) {
    return fmt::format("{}.{}{}", network.name, part, layer);
  }
  Tensor convolution(const Network& network, std::int64_t layer, std::int64_t width) {
    return model_.program.parameter(*model_.main, name(network, "conv_embed_", layer) + ".weight", width,
                                    width, xavier_normal());
  }

  Model& model_;
  Tape& tape_;
  const MeanGraph& graph_;
  Tensor id_embedding_;
  std::int64_t users_, items_;
  bool trains_;
};

std::unique_ptr<Model> build(Backend& backend, Dataset& dataset, const Configuration& configuration,
                             const Progress&) {
  auto model = begin_model(backend, dataset, configuration);
  Program& program = model->program;
  const std::int64_t users = dataset.users, items = dataset.items,
                     e = configuration.integer("embedding_size");
  const MeanGraph graph = upload_graph(*model, dataset);
  const Tensor id_embedding = program.state("id_embedding", users + items, e, xavier_normal());
  std::vector<Network> networks;
  for (ItemFeatures& modality : dataset.features) {
    const std::string name = modality.modality == "visual" ? "v_gcn" : "t_gcn";
    const std::int64_t columns = modality.values.columns,
                       width = modality.modality == "visual" ? visual_width : columns;
    const Buffer<float>& raw = model->features.emplace_back(to_device(backend, modality.values.values));
    modality.values = {};
    const Tensor features = program.constant(raw.matrix(items, columns)),
                 preference = program.state(name + ".preference", users, width, xavier_normal());
    networks.push_back({name, features, preference, width, keep_preferred(*model, graph, preference)});
  }

  const auto represent = [&](Tape& tape) {
    Recording recording(*model, tape, graph, id_embedding, users);
    std::vector<Tensor> last;
    for (const Network& network : networks) last.push_back(recording.record(network));
    return last.size() == 1 ? last[0] : scale(tape, 0.5f, add(tape, last[0], last[1]));
  };
  Tape& tape = *model->training;
  const Tensor rows = represent(tape);
  const std::int64_t batch_size = model->batch.users.count;
  bpr(tape, "bpr", 1.0f, BprSum::mean, rows.row_range(0, batch_size),
      rows.row_range(batch_size, 2 * batch_size), gathered_triples(tape, batch_size));

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
  const Tensor nodes = represent(*model->evaluation);
  finish_model(*model, {nodes.row_range(0, users), nodes.row_range(users, items)});
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
