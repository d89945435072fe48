// MMGCN, DualGNN, LATTICE, SLMRec and BM3: representations and scores, one batch's losses and gradients, and
// an epoch of updates.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>

#include "configuration/registry.hpp"
#include "data/cooccurrence.hpp"
#include "data/dataset.hpp"
#include "data/graph.hpp"
#include "golden/golden.hpp"

namespace sea::test {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

template <class T>
std::vector<T> download(Backend& backend, const T* data, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  backend.copy_to_host(values.data(), data, values.size() * sizeof(T));
  return values;
}

/// A sparse matrix of device memory, dense; entries at one place add up.
std::vector<float> dense(Backend& backend, const CsrView& graph) {
  const std::vector<std::int64_t> offsets = download(backend, graph.row_offsets, graph.rows + 1);
  const std::vector<std::int32_t> columns = download(backend, graph.column_indices, offsets.back());
  const std::vector<float> values = download(backend, graph.values, offsets.back());
  std::vector<float> result(static_cast<std::size_t>(graph.rows * graph.columns));
  for (std::int64_t i = 0; i < graph.rows; ++i) {
    for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e)
      result[i * graph.columns + columns[e]] += values[e];
  }
  return result;
}

class Replay {
 public:
  Replay(const GoldenFolder& golden, const GoldenFolder& sea, Backend& backend)
      : golden_(golden), sea_(sea), backend_(backend), data_folder_(sea.path()) {}

  bool run() {
    for (const auto& [name, description] : golden_.manifest().items()) {
      if (description.is_object()) replay(name, description);
    }
    return report_.print();
  }

 private:
  void replay(const std::string& name, const json& description) {
    report_.start_case(name);
    const std::string kind = description["model"];
    const auto model = build(kind, description, json::object());
    golden_.upload_parameters(model->program, kind, name);
    upload_states(*model, name);
    compare_graphs(*model, name, description);
    begin_epoch(*model, name);
    model->evaluate();
    compare_representations(*model, name);

    const std::int64_t batch = description["batch"];
    std::int64_t place = 0;
    if (description.contains("graph_from")) {
      // Another batch than the first of its epoch, which has built the graph from other parameters.
      const std::string first = description["graph_from"];
      golden_.upload_parameters(model->program, kind, first);
      begin_epoch(*model, name);
      sea_.upload_batch(*model, 0);
      step_of(*model, 0).tapes().front()->forward();
      golden_.upload_parameters(model->program, kind, name);
      place = std::max<std::int64_t>(batch, 1);
    }
    Step& step = step_of(*model, place);
    run_step(*model, step, name, batch,
             [&] { golden_.compare_gradients(model->program, kind, name, description["trained"], report_); });
    compare_losses(model->program, description);
    if (description.contains("epoch")) replay_epoch(name, kind, description);
  }

  /// `more` are keys beside those of the description.
  std::unique_ptr<Model> build(const std::string& kind, const json& description, const json& more) {
    json all = description;
    all.update(more);
    const Configuration configuration = configuration_of_case(kind, all, sea_.manifest());
    Dataset data = load_dataset(data_folder_.folder(), configuration.model().files(configuration));
    train_ = data.train;
    return configuration.model().build(backend_, data, configuration, [](const std::string&) {});
  }

  fs::path input(const std::string& name, const std::string& array) const {
    return fs::path(name) / "inputs" / (array + ".npy");
  }
  bool has(const fs::path& file) const { return fs::exists(golden_.path() / file); }

  void upload_states(const Model& model, const std::string& name) {
    for (const StateView& state : model.program.states()) {
      if (!has(input(name, state.name))) continue;
      const std::vector<double> values = golden_.values(input(name, state.name));
      if (static_cast<std::int64_t>(values.size()) != state.size())
        throw Error(fmt::format("{} has {} values, not {}", input(name, state.name).string(), values.size(),
                                state.size()));
      const std::vector<float> floats(values.begin(), values.end());
      backend_.copy_to_device(state.value, floats.data(), floats.size() * sizeof(float));
    }
  }

  void begin_epoch(Model& model, const std::string& name) {
    model.begin_epoch(0);
    if (has(input(name, "user_graph_index"))) upload_user_graph(model, name);
  }

  static Step& step_of(Model& model, std::int64_t place) {
    if (model.schedule.before_step) model.schedule.before_step(0, place);
    return model.schedule.choose ? model.schedule.choose(0, place) : *model.schedule.step;
  }

  /// A step on a batch of the golden runs, with the masks that the case gives.
  void run_step(Model& model, Step& step, const std::string& name, std::int64_t batch,
                const std::function<void()>& before_update) {
    sea_.upload_batch(model, batch);
    for (const auto& [array, tensor] : model.values) {
      if (!has(input(name, array))) continue;
      const std::vector<double> values = golden_.values(input(name, array));
      const MatrixView to = model.program.value(tensor);
      if (static_cast<std::int64_t>(values.size()) != to.size() || !to.contiguous())
        throw Error(input(name, array).string() + " does not fit");
      const std::vector<float> floats(values.begin(), values.end());
      backend_.copy_to_device(to.data, floats.data(), floats.size() * sizeof(float));
    }
    for (Tape* tape : step.tapes()) {
      tape->forward();
      tape->backward();
      before_update();
      tape->update();
    }
    step.finish();
  }

  void replay_epoch(const std::string& name, const std::string& kind, const json& description) {
    const json& epoch = description["epoch"];
    const auto model =
        build(kind, description,
              {{"learning_rate", epoch["learning_rate"]}, {"weight_decay", epoch["weight_decay"]}});
    Program& program = model->program;
    golden_.upload_parameters(program, kind, name);
    upload_states(*model, name);
    begin_epoch(*model, name);
    for (std::size_t i = 0; i < epoch["losses"].size(); ++i) {
      const auto place = static_cast<std::int64_t>(i);
      run_step(*model, step_of(*model, place), name, place, [] {});
      const double expected = epoch["losses"][i], ours = program.losses().download().back();
      report_.add("epoch losses", fmt::format("step {}", i), std::abs(ours - expected),
                  1e-5 * std::max(1.0, std::abs(expected)));
    }
    std::size_t compared = 0;
    for (const ParameterView& parameter : program.parameters()) {
      const std::vector<float> values = download(backend_, parameter.value, parameter.size());
      auto next = values.begin();
      for (const std::string& array : golden_names(kind, parameter.name)) {
        const std::vector<double> expected =
            golden_.values(fmt::format("{}/parameters_after/{}.npy", name, array));
        const auto size = std::min<std::ptrdiff_t>(values.end() - next, std::ssize(expected));
        const std::vector<float> part(next, next + size);
        next += size;
        ++compared;
        if (!golden_.compares(name + "/" + array)) continue;
        report_.add("parameters after", array, distance(part, expected), 1e-3 * norm(expected));
      }
    }
    if (compared != description["trained"].size())
      throw Error(
          fmt::format("{}: {} arrays are trained, not {}", name, compared, description["trained"].size()));
  }

  void compare_losses(const Program& program, const json& description) {
    std::map<std::string, double> losses;
    const std::vector<float> values = program.losses().download();
    for (std::size_t i = 0; i < values.size(); ++i) losses[program.losses().names()[i]] = values[i];
    const double total = losses.at("total");
    const auto compare = [&](const std::string& name, double ours, double expected) {
      report_.add("losses", name, std::abs(ours - expected), 1e-5 * std::max(1.0, std::abs(expected)));
    };
    compare("total", total, description["loss"]);
    const auto regulariser = [&] {
      return losses.count("bpr") != 0 ? total - losses.at("bpr")
                                      : description["reg_weight"].get<double>() *
                                            (losses.at("norm_users") + losses.at("norm_items"));
    };
    for (const auto& [term, expected] : description["terms"].items()) {
      const double ours = losses.count(term) != 0 ? losses.at(term)
                          : term == "fac"         ? losses.at("fac_visual") + losses.at("fac_textual")
                          : term == "others"      ? total - regulariser()
                                                  : regulariser();
      compare(term, ours, expected);
    }
  }

  void compare_representations(const Model& model, const std::string& name) {
    const auto compare = [&](const std::string& group, const std::string& array,
                             const std::vector<float>& ours) {
      const std::vector<double> expected = golden_.values(fmt::format("{}/{}.npy", name, array));
      report_.add(group, array, distance(ours, expected), 1e-5 * norm(expected));
    };
    compare("representations", "user_representation", test::download(model.program, model.users));
    compare("representations", "item_representation", test::download(model.program, model.items));
    std::vector<float> scores = score_all(model);
    const bool sigmoid = has(name + "/scores_before_sigmoid.npy");
    compare("scores", sigmoid ? "scores_before_sigmoid" : "scores", scores);
    if (!sigmoid) return;
    for (float& score : scores) score = 1.0f / (1.0f + std::exp(-score));
    compare("scores", "scores", scores);
  }

  // ---- graphs

  void compare_graphs(const Model& model, const std::string& name, const json& description) {
    const fs::path interaction = name + "/intermediate/interaction.npy";
    if (has(interaction)) compare_dense(model.graphs.front().view(), interaction);
    if (has(input(name, "cooccurrence_user"))) compare_user_graph(model, name, description);
  }

  void compare_dense(const CsrView& graph, const fs::path& file) {
    const std::vector<double> expected = golden_.values(file);
    report_.add("graphs", file.stem().string(), distance(dense(backend_, graph), expected),
                1e-6 * norm(expected));
  }

  /// The lists of users with common items; and the drawn graph, in rows that leave nothing to chance.
  void compare_user_graph(const Model& model, const std::string& name, const json& description) {
    constexpr std::int64_t longest = 200;
    const Cooccurrence lists = count_cooccurrence(train_, longest);
    std::vector<std::int32_t> users;
    for (std::int64_t user = 0; user < lists.users(); ++user)
      users.insert(users.end(), lists.row_offsets[user + 1] - lists.row_offsets[user],
                   static_cast<std::int32_t>(user));
    const auto compare = [&](const std::string& array, const std::vector<std::int32_t>& ours) {
      const std::vector<double> expected = golden_.values(input(name, array));
      const bool equal = std::equal(ours.begin(), ours.end(), expected.begin(), expected.end());
      report_.add("users in common", array, equal ? 0.0 : 1.0, 0.5);
    };
    compare("cooccurrence_user", users);
    compare("cooccurrence_neighbour", lists.neighbours);
    compare("cooccurrence_count", lists.counts);

    const std::int64_t k = description["user_neighbours"];
    const std::vector<double> index = golden_.values(input(name, "user_graph_index")),
                              weight = golden_.values(input(name, "user_graph_weight"));
    const CsrView graph = model.graphs.at(1).view();
    const std::vector<std::int64_t> offsets = download(backend_, graph.row_offsets, graph.rows + 1);
    const std::vector<std::int32_t> columns = download(backend_, graph.column_indices, offsets.back());
    const std::vector<float> values = download(backend_, graph.values, offsets.back());
    for (std::int64_t user = 0; user < lists.users(); ++user) {
      const std::int64_t neighbours = lists.row_offsets[user + 1] - lists.row_offsets[user];
      double error = offsets[user + 1] - offsets[user] == (neighbours > 0 ? k : 0) ? 0.0 : 1.0;
      for (std::int64_t i = 0; error == 0.0 && neighbours >= k && i < k; ++i) {
        if (columns[offsets[user] + i] != index[user * k + i]) error = 1.0;
        error = std::max(error, std::abs(values[offsets[user] + i] - weight[user * k + i]));
      }
      report_.add("user graph", fmt::format("user {}", user), error, 1e-6);
    }
  }

  /// The user graph of the case in place of one that was drawn here.
  void upload_user_graph(Model& model, const std::string& name) {
    const std::vector<double> index = golden_.values(input(name, "user_graph_index")),
                              weight = golden_.values(input(name, "user_graph_weight"));
    const Cooccurrence lists = count_cooccurrence(train_, 1);
    const auto k = static_cast<std::int64_t>(index.size()) / train_.rows;
    HostCsr graph;
    graph.rows = graph.columns = train_.rows;
    for (std::int64_t user = 0; user < train_.rows; ++user) {
      for (std::int64_t i = 0; lists.row_offsets[user + 1] > lists.row_offsets[user] && i < k; ++i) {
        graph.column_indices.push_back(static_cast<std::int32_t>(index[user * k + i]));
        graph.values.push_back(static_cast<float>(weight[user * k + i]));
      }
      graph.row_offsets.push_back(graph.nonzeros());
    }
    const HostCsr transposed = transpose(graph);
    model.graphs.at(1).upload(graph.row_offsets, graph.column_indices, graph.values);
    model.graphs.at(2).upload(transposed.row_offsets, transposed.column_indices, transposed.values);
  }

  const GoldenFolder& golden_;
  const GoldenFolder& sea_;
  Backend& backend_;
  GoldenData data_folder_;
  GoldenReport report_;
  HostCsr train_;  ///< of the model that was built last
};

}  // namespace

bool replay_company_first(const GoldenFolder& golden, const GoldenFolder& sea, Backend& backend) {
  return Replay(golden, sea, backend).run();
}

}  // namespace sea::test
