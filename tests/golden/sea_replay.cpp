#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "data/dataset.hpp"
#include "data/graph.hpp"
#include "data/neighbours.hpp"
#include "golden/golden.hpp"
#include "models/sea.hpp"
#include "training/evaluation.hpp"

namespace sea::test {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Replay {
 public:
  Replay(const GoldenFolder& golden, Backend& backend)
      : golden_(golden), backend_(backend), manifest_(golden.manifest()), data_folder_(golden.path()) {}

  bool run() {
    compare_graphs();
    for (const auto& [name, description] : manifest_["cases"].items()) replay(name, description);
    return report_.print();
  }

 private:
  Dataset load() const { return load_dataset(data_folder_.folder(), {}); }

  void compare_graphs() {
    report_.start_case("graphs");
    const Dataset data = load();
    compare_dense("interaction", interaction_graph(data.train), golden_.values("graphs/interaction.npy"));
    const std::int64_t k = manifest_["sizes"]["k"];
    std::vector<HostCsr> graphs;
    for (const ItemFeatures& modality : data.features) {
      const Buffer<float> features = to_device(backend_, modality.values.values);
      const std::vector<std::int32_t> neighbours =
          nearest_neighbours(backend_, features.matrix(modality.values.rows, modality.values.columns), k);
      compare_neighbours(modality.modality, neighbours, k);
      graphs.push_back(neighbour_graph(neighbours, data.items, k));
    }
    compare_dense("item_item", blend(graphs[0], graphs[1], manifest_.value("mm_image_weight", 0.1f)),
                  golden_.values("graphs/item_item.npy"));
  }

  void compare_dense(const std::string& name, const HostCsr& graph, const std::vector<double>& expected) {
    std::vector<float> dense(static_cast<std::size_t>(graph.rows * graph.columns));
    for (std::int64_t i = 0; i < graph.rows; ++i) {
      for (std::int64_t p = graph.row_offsets[i]; p < graph.row_offsets[i + 1]; ++p) {
        dense[i * graph.columns + graph.column_indices[p]] = graph.values[p];
      }
    }
    report_.add(name, name, distance(dense, expected), 1e-6 * norm(expected));
  }

  void compare_neighbours(const std::string& modality, std::vector<std::int32_t> ids, std::int64_t k) {
    std::vector<double> expected = golden_.values("graphs/knn_" + modality + ".npy");
    double different = expected.size() == ids.size() ? 0.0 : 1.0;
    for (std::size_t row = 0; different == 0.0 && row + k <= ids.size(); row += k) {
      std::sort(ids.begin() + row, ids.begin() + row + k);
      std::sort(expected.begin() + row, expected.begin() + row + k);
    }
    for (std::size_t i = 0; i < std::min(ids.size(), expected.size()); ++i)
      different += ids[i] != expected[i];
    report_.add("neighbour ids", modality, different, 0.5);
  }

  SeaSettings settings(const json& description) const {
    const json& sizes = manifest_["sizes"];
    SeaSettings s;
    s.embedding_size = sizes["dim"];
    s.train_batch_size = sizes["batch"];
    s.knn_k = sizes["k"];
    s.head_hidden = sizes["hh"];
    s.head_out = sizes["ho"];
    s.club_width = sizes["cd"];
    s.club_hidden = sizes["ch"];
    s.club_steps = sizes["inner"];
    s.alpha = manifest_["alpha"];
    s.beta = manifest_["beta"];
    s.temperature = manifest_["temperature"];
    s.learning_rate = s.club_learning_rate = manifest_["lr"];
    s.mm_image_weight = manifest_.value("mm_image_weight", 0.1f);
    const std::string align = description["align"], distance_kind = description["distance"];
    s.align = align == "solosim" ? Align::solosim : align == "infonce" ? Align::infonce : Align::none;
    s.distance = distance_kind == "club" ? Distance::club
                 : distance_kind == "l2" ? Distance::l2
                                         : Distance::none;
    s.club_pairs = description["club_pairs"] == "authors" ? ClubPairs::authors : ClubPairs::paper;
    s.keep_values = true;
    return s;
  }

  void replay(const std::string& name, const json& description) {
    report_.start_case(name);
    Dataset data = load();
    Dataset splits = data;
    const std::unique_ptr<Model> model =
        build_sea(backend_, data, settings(description), [](const std::string&) {});
    Program& program = model->program;
    for (const ParameterView& parameter : program.parameters()) {
      golden_.upload(backend_, parameter, {"parameters/" + parameter.name + ".npy"});
    }
    const json& steps = description["steps"];
    for (std::size_t step = 0; step < steps.size(); ++step) {
      golden_.upload_batch(*model, static_cast<std::int64_t>(step));
      model->training->forward();
      if (step == 0) compare_values(*model, name);
      model->training->backward();
      if (step == 0) compare_gradients(program, name);
      model->training->update();
      model->schedule.step->finish();
      compare_losses(program, steps[step], step);
    }
    for (const ParameterView& parameter : program.parameters()) {
      const fs::path file = fmt::format("cases/{}/parameters_after/{}.npy", name, parameter.name);
      if (!golden_.compares(parameter.name) || !fs::exists(golden_.path() / file)) continue;
      std::vector<float> values(static_cast<std::size_t>(parameter.size()));
      backend_.copy_to_host(values.data(), parameter.value, values.size() * sizeof(float));
      const std::vector<double> expected = golden_.values(file);
      report_.add("parameters after", parameter.name, distance(values, expected), 1e-3 * norm(expected));
    }
    if (name == "a" && manifest_.contains("metrics_after_case_a")) compare_metrics(*model, splits);
  }

  void compare_losses(const Program& program, const json& expected, std::size_t step) {
    std::map<std::string, double> losses;
    const std::vector<float> values = program.losses().download();
    for (std::size_t i = 0; i < values.size(); ++i) losses[program.losses().names()[i]] = values[i];
    const auto compare = [&](const std::string& group, const std::string& name, double ours, double theirs,
                             double bound) {
      report_.add(group, fmt::format("{}, step {}", name, step), std::abs(ours - theirs),
                  bound * std::max(1.0, std::abs(theirs)));
    };
    compare("losses", "bpr", losses.at("bpr"), expected["bpr"], 1e-5);
    if (losses.count("align") != 0) compare("losses", "align", losses.at("align"), expected["align"], 1e-5);
    if (losses.count("distance.visual") != 0) {
      const double mean = (losses.at("distance.visual") + losses.at("distance.textual")) / 2.0;
      compare("losses", "distance", mean, expected["distance"], 1e-5);
      for (const std::string modality : {"visual", "textual"}) {
        if (!expected.contains("distance_" + modality)) continue;
        compare("losses", "distance." + modality, losses.at("distance." + modality),
                expected["distance_" + modality], 1e-5);
      }
    }
    compare("losses", "total", losses.at("total"), expected["loss"], 1e-5);
    if (!expected.contains("club_fit_losses")) return;
    for (std::size_t s = 0; s < expected["club_fit_losses"].size(); ++s) {
      compare("fit losses", fmt::format("fit step {}", s), losses.at(fmt::format("club_fit.{}", s)),
              expected["club_fit_losses"][s], 1e-4);
    }
  }

  void compare_values(const Model& model, const std::string& case_name) {
    for (const auto& [name, tensor] : model.values) {
      const std::vector<double> expected = golden_.values(fmt::format("cases/{}/{}.npy", case_name, name));
      const bool projection = name.find("representation") == std::string::npos;
      report_.add(projection ? "projections" : "representations", name,
                  distance(download(model.program, tensor), expected), 1e-5 * norm(expected));
    }
  }

  void compare_gradients(const Program& program, const std::string& case_name) {
    double largest = 0.0;
    std::map<std::string, std::vector<double>> expected;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(golden_.path() / "cases" / case_name / "gradients")) {
      const std::string name = entry.path().stem().string();
      expected[name] = golden_.values(fs::relative(entry.path(), golden_.path()));
      largest = std::max(largest, norm(expected[name]));
    }
    for (const auto& [name, gradient] : expected) {
      if (!golden_.compares(name)) continue;
      report_.add("gradients", name, distance(program.download_gradient(name), gradient),
                  1e-4 * std::max(norm(gradient), 1e-3 * largest));
    }
  }

  void compare_metrics(Model& model, const Dataset& data) {
    Program& program = model.program;
    model.evaluate();
    const ConstMatrixView users = program.value(model.users), items = program.value(model.items);
    Evaluator evaluator(backend_, model.sampling.view().history, {&data.valid, &data.test}, {5, 10}, 16,
                        users.columns);
    const std::vector<Metrics> metrics = evaluator.evaluate(users, items);
    const char* const splits[] = {"valid", "test"};
    for (std::size_t s = 0; s < metrics.size(); ++s) {
      for (const auto& [name, value] : manifest_["metrics_after_case_a"][splits[s]].items()) {
        report_.add("metrics", fmt::format("{} {}", splits[s], name),
                    std::abs(metrics[s].at(name) - value.get<double>()), 1e-9);
      }
    }
  }

  const GoldenFolder& golden_;
  Backend& backend_;
  const json& manifest_;
  GoldenData data_folder_;
  GoldenReport report_;
};

}  // namespace

bool replay_sea(const GoldenFolder& golden, Backend& backend) {
  return Replay(golden, backend).run();
}

}  // namespace sea::test
