// Replays the cases of a folder in the layout of the golden SEA runs (an independent implementation in double
// precision): the same data, parameters, batches and permutations, compared array by array. Prints one row
// for each group of arrays, with the largest error as a share of its bound, and exits with 1 past a bound.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/dataset.hpp"
#include "data/graph.hpp"
#include "data/neighbours.hpp"
#include "data/npy.hpp"
#include "models/sea.hpp"
#include "sea/error.hpp"
#include "support/backend_under_test.hpp"
#include "training/evaluation.hpp"

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

double norm(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

double distance(const std::vector<float>& x, const std::vector<double>& golden) {
  if (x.size() != golden.size()) return std::numeric_limits<double>::infinity();
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - golden[i]) * (x[i] - golden[i]);
  return std::sqrt(sum);
}

/// Errors by case and group, each as a share of what is allowed.
class Report {
 public:
  void start_case(const std::string& name) { case_ = name; }

  void add(const std::string& group, const std::string& array, double error, double allowed) {
    for (Row& row : rows_) {
      if (row.case_name != case_ || row.group != group) continue;
      ++row.arrays;
      if (!(error / allowed <= row.error / row.allowed)) row.set_worst(array, error, allowed);
      return;
    }
    rows_.push_back({case_, group, array, 1, error, allowed});
  }

  /// Prints the table. True where nothing is past its bound.
  bool print() const {
    bool good = true;
    fmt::print("{:<16} {:<18} {:>6}  {:>10}  {:>10}  {:<6} {}\n", "case", "group", "arrays", "error", "bound",
               "", "worst array");
    for (const Row& row : rows_) {
      const bool within = row.error <= row.allowed;  // false for NaN
      good = good && within;
      fmt::print("{:<16} {:<18} {:>6}  {:>10.2e}  {:>10.2e}  {:<6} {}\n", row.case_name, row.group,
                 row.arrays, row.error, row.allowed, within ? "ok" : "PAST", row.worst);
    }
    fmt::print("{}\n", good ? "all within bounds" : "PAST A BOUND");
    return good && !rows_.empty();
  }

 private:
  struct Row {
    std::string case_name, group, worst;
    int arrays;
    double error, allowed;
    void set_worst(const std::string& array, double error_, double allowed_) {
      worst = array;
      error = error_;
      allowed = allowed_;
    }
  };
  std::string case_;
  std::vector<Row> rows_;
};

/// The golden folder under a name that the data reader expects: its interactions are called golden.inter
/// whatever the folder is called.
class DataFolder {
 public:
  explicit DataFolder(const fs::path& golden) {
    std::string pattern = (fs::temp_directory_path() / "golden_replay_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      throw sea::Error("no temporary folder could be made at " + pattern);
    root_ = pattern;
    fs::create_directory(folder());
    for (const char* name : {"golden.inter", "image_feat.npy", "text_feat.npy"}) {
      fs::create_symlink(fs::absolute(golden / name), folder() / name);
    }
  }
  ~DataFolder() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  fs::path folder() const { return root_ / "golden"; }

 private:
  fs::path root_;
};

class Replay {
 public:
  Replay(const fs::path& folder, sea::Backend& backend)
      : folder_(folder), backend_(backend), data_folder_(folder) {
    std::ifstream file(folder / "manifest.json");
    if (!file) throw sea::Error(fmt::format("{}: no manifest.json", folder.string()));
    manifest_ = json::parse(file);
    if (!manifest_.contains("cases")) {
      throw sea::Error(fmt::format("{}: manifest.json has no cases", folder.string()));
    }
    for (const json& name : manifest_.value("not_compared", json::array())) not_compared_.insert(name);
  }

  bool run() {
    compare_graphs();
    for (const auto& [name, description] : manifest_["cases"].items()) replay(name, description);
    return report_.print();
  }

 private:
  sea::Dataset load() const { return sea::load_dataset(data_folder_.folder(), {}); }

  std::vector<double> golden(const fs::path& file) const {
    std::vector<std::int64_t> shape;
    return sea::read_npy_values(folder_ / file, shape);
  }

  void compare_graphs() {
    report_.start_case("graphs");
    const sea::Dataset data = load();
    compare_dense("interaction", sea::interaction_graph(data.train), golden("graphs/interaction.npy"));
    const std::int64_t k = manifest_["sizes"]["k"];
    std::vector<sea::HostCsr> graphs;
    for (const sea::ItemFeatures& modality : data.features) {
      const sea::Buffer<float> features = sea::to_device(backend_, modality.values.values);
      const std::vector<std::int32_t> neighbours = sea::nearest_neighbours(
          backend_, features.matrix(modality.values.rows, modality.values.columns), k);
      compare_neighbours(modality.modality, neighbours, k);
      graphs.push_back(sea::neighbour_graph(neighbours, data.items, k));
    }
    compare_dense("item_item", sea::blend(graphs[0], graphs[1], manifest_.value("mm_image_weight", 0.1f)),
                  golden("graphs/item_item.npy"));
  }

  void compare_dense(const std::string& name, const sea::HostCsr& graph,
                     const std::vector<double>& expected) {
    std::vector<float> dense(static_cast<std::size_t>(graph.rows * graph.columns));
    for (std::int64_t i = 0; i < graph.rows; ++i) {
      for (std::int64_t p = graph.row_offsets[i]; p < graph.row_offsets[i + 1]; ++p) {
        dense[i * graph.columns + graph.column_indices[p]] = graph.values[p];
      }
    }
    report_.add(name, name, distance(dense, expected), 1e-6 * norm(expected));
  }

  void compare_neighbours(const std::string& modality, std::vector<std::int32_t> ids, std::int64_t k) {
    std::vector<double> expected = golden("graphs/knn_" + modality + ".npy");
    double different = expected.size() == ids.size() ? 0.0 : 1.0;
    for (std::size_t row = 0; different == 0.0 && row + k <= ids.size(); row += k) {
      std::sort(ids.begin() + row, ids.begin() + row + k);
      std::sort(expected.begin() + row, expected.begin() + row + k);
    }
    for (std::size_t i = 0; i < std::min(ids.size(), expected.size()); ++i)
      different += ids[i] != expected[i];
    report_.add("neighbour ids", modality, different, 0.5);
  }

  sea::SeaSettings settings(const json& description) const {
    const json& sizes = manifest_["sizes"];
    sea::SeaSettings s;
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
    s.align = align == "solosim"   ? sea::Align::solosim
              : align == "infonce" ? sea::Align::infonce
                                   : sea::Align::none;
    s.distance = distance_kind == "club" ? sea::Distance::club
                 : distance_kind == "l2" ? sea::Distance::l2
                                         : sea::Distance::none;
    s.club_pairs = description["club_pairs"] == "authors" ? sea::ClubPairs::authors : sea::ClubPairs::paper;
    s.keep_values = true;
    return s;
  }

  void replay(const std::string& name, const json& description) {
    report_.start_case(name);
    sea::Dataset data = load();
    sea::Dataset splits = data;
    const std::unique_ptr<sea::Model> model =
        sea::build_sea(backend_, data, settings(description), [](const std::string&) {});
    sea::Program& program = model->program;
    for (const sea::ParameterView& parameter : program.parameters()) {
      const std::vector<double> start = golden("parameters/" + parameter.name + ".npy");
      const std::vector<float> values(start.begin(), start.end());
      if (static_cast<std::int64_t>(values.size()) != parameter.size()) {
        throw sea::Error(fmt::format("parameters/{}.npy has {} values and must have {}", parameter.name,
                                     values.size(), parameter.size()));
      }
      backend_.copy_to_device(parameter.value, values.data(), values.size() * sizeof(float));
    }
    const json& steps = description["steps"];
    for (std::size_t step = 0; step < steps.size(); ++step) {
      upload_batch(*model, static_cast<std::int64_t>(step));
      program.forward();
      program.fit();
      if (step == 0) compare_values(*model, name);
      program.backward();
      if (step == 0) compare_gradients(program, name);
      program.update();
      compare_losses(program, steps[step], step);
    }
    for (const sea::ParameterView& parameter : program.parameters()) {
      const fs::path file = fmt::format("cases/{}/parameters_after/{}.npy", name, parameter.name);
      if (not_compared_.count(parameter.name) != 0 || !fs::exists(folder_ / file)) continue;
      std::vector<float> values(static_cast<std::size_t>(parameter.size()));
      backend_.copy_to_host(values.data(), parameter.value, values.size() * sizeof(float));
      const std::vector<double> expected = golden(file);
      report_.add("parameters after", parameter.name, distance(values, expected), 1e-3 * norm(expected));
    }
    if (name == "a" && manifest_.contains("metrics_after_case_a")) compare_metrics(*model, splits);
  }

  void upload_batch(const sea::Model& model, std::int64_t step) {
    const auto upload = [&](const std::string& name, sea::IndexView to) {
      const std::vector<double> values = golden(fmt::format("batches/{}/{}.npy", step, name));
      const std::vector<std::int32_t> ids(values.begin(), values.end());
      if (ids.size() > to.size()) throw sea::Error(fmt::format("batches/{}/{}.npy is too long", step, name));
      backend_.copy_to_device(to.data(), ids.data(), ids.size() * sizeof(std::int32_t));
      return static_cast<std::int64_t>(ids.size());
    };
    const std::int64_t count = upload("user", model.batch.triples.users);
    upload("positive", model.batch.triples.positives);
    upload("negative", model.batch.triples.negatives);
    for (const auto& [name, draw] : model.draws) upload(name, draw);
    const_cast<sea::Model&>(model).program.upload_state({step, 0, 0, count});
  }

  void compare_losses(const sea::Program& program, const json& expected, std::size_t step) {
    std::map<std::string, double> losses;
    const std::vector<float> values = program.download_losses();
    for (std::size_t i = 0; i < values.size(); ++i) losses[program.loss_names()[i]] = values[i];
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

  void compare_values(const sea::Model& model, const std::string& case_name) {
    for (const auto& [name, tensor] : model.values) {
      const sea::MatrixView view = model.program.value(tensor);
      std::vector<float> values(static_cast<std::size_t>(view.size()));
      for (std::int64_t i = 0; i < view.rows; ++i) {
        backend_.copy_to_host(values.data() + i * view.columns, view.row(i),
                              static_cast<std::size_t>(view.columns) * sizeof(float));
      }
      const std::vector<double> expected = golden(fmt::format("cases/{}/{}.npy", case_name, name));
      const bool projection = name.find("representation") == std::string::npos;
      report_.add(projection ? "projections" : "representations", name, distance(values, expected),
                  1e-5 * norm(expected));
    }
  }

  void compare_gradients(const sea::Program& program, const std::string& case_name) {
    double largest = 0.0;
    std::map<std::string, std::vector<double>> expected;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(folder_ / "cases" / case_name / "gradients")) {
      const std::string name = entry.path().stem().string();
      expected[name] = golden(fs::relative(entry.path(), folder_));
      largest = std::max(largest, norm(expected[name]));
    }
    for (const auto& [name, gradient] : expected) {
      if (not_compared_.count(name) != 0) continue;
      report_.add("gradients", name, distance(program.download_gradient(name), gradient),
                  1e-4 * std::max(norm(gradient), 1e-3 * largest));
    }
  }

  void compare_metrics(sea::Model& model, const sea::Dataset& data) {
    sea::Program& program = model.program;
    program.represent();
    const sea::ConstMatrixView users = program.value(model.users), items = program.value(model.items);
    sea::Evaluator evaluator(backend_, model.sampling.view().history, {&data.valid, &data.test}, {5, 10}, 16,
                             users.columns);
    const std::vector<sea::Metrics> metrics = evaluator.evaluate(users, items);
    const char* const splits[] = {"valid", "test"};
    for (std::size_t s = 0; s < metrics.size(); ++s) {
      for (const auto& [name, value] : manifest_["metrics_after_case_a"][splits[s]].items()) {
        report_.add("metrics", fmt::format("{} {}", splits[s], name),
                    std::abs(metrics[s].at(name) - value.get<double>()), 1e-9);
      }
    }
  }

  fs::path folder_;
  sea::Backend& backend_;
  DataFolder data_folder_;
  json manifest_;
  std::set<std::string> not_compared_;
  Report report_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: golden_replay DIR\n";
    return 2;
  }
  try {
    const std::unique_ptr<sea::Backend> backend = sea::test::backend_under_test();
    if (backend == nullptr) {
      fmt::print("skipped 1: no GPU\ntests skipped: 1\n");
      return 0;
    }
    fmt::print("{}\n", backend->description());
    return Replay(argv[1], *backend).run() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "golden_replay: " << error.what() << '\n';
    return 1;
  }
}
