#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "data/dataset.hpp"
#include "golden/golden.hpp"
#include "models/registry.hpp"

namespace sea::test {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Users and items are one array here and two there.
std::vector<std::string> golden_names(const std::string& model, const std::string& parameter) {
  if (parameter != "node_embedding") return {parameter};
  if (model == "lightgcn") return {"embedding_dict.user_emb", "embedding_dict.item_emb"};
  if (model == "layergcn") return {"user_embeddings", "item_embeddings"};
  return {"user_embedding.weight", "item_id_embedding.weight"};
}

/// The golden arrays of a parameter, one after the other.
std::vector<fs::path> golden_files(const std::string& model, const std::string& folder,
                                   const std::string& parameter) {
  std::vector<fs::path> files;
  for (const std::string& name : golden_names(model, parameter))
    files.emplace_back(fmt::format("{}/{}/{}.npy", model, folder, name));
  return files;
}

Configuration configuration_of_model(const std::string& name, const json& description, const json& sea) {
  Configuration configuration(*find_model(name, "golden").model);
  const auto& keys = configuration.model().keys;
  const auto set = [&](const std::string& key, const json& value) {
    if (std::none_of(keys.begin(), keys.end(), [&](const Key& k) { return k.name == key; })) return;
    configuration.set_text(key, value.dump(), "golden");
  };
  set("embedding_size", sea["sizes"]["dim"]);
  set("train_batch_size", sea["sizes"]["batch"]);
  for (const auto& [key, value] : description.items()) set(key, value);
  return configuration;
}

class Replay {
 public:
  Replay(const GoldenFolder& golden, const GoldenFolder& sea, Backend& backend)
      : golden_(golden), sea_(sea), backend_(backend), data_folder_(sea.path()) {}

  bool run() {
    for (const auto& [name, description] : golden_.manifest().items()) {
      if (name != "not_compared") replay(name, description);
    }
    return report_.print();
  }

 private:
  void replay(const std::string& name, const json& description) {
    report_.start_case(name);
    const Configuration configuration = configuration_of_model(name, description, sea_.manifest());
    Dataset data = load_dataset(data_folder_.folder(), configuration.model().files(configuration));
    const auto model = configuration.model().build(backend_, data, configuration, [](const std::string&) {});
    Program& program = model->program;
    for (const ParameterView& parameter : program.parameters())
      golden_.upload(backend_, parameter, golden_files(name, "parameters", parameter.name));
    model->evaluate();
    compare_scores(*model, name);
    sea_.upload_batch(*model, 0);
    model->training->forward();
    model->training->backward();
    compare_gradients(program, name, description["trained"]);
    model->training->update();
    model->schedule.step->finish();
    const double loss = description["loss"], ours = program.losses().download().back();
    report_.add("loss", "total", std::abs(ours - loss), 1e-5 * std::max(1.0, std::abs(loss)));
  }

  void compare_scores(const Model& model, const std::string& name) {
    const ConstMatrixView users = model.program.value(model.users), items = model.program.value(model.items);
    const Buffer<float> scores(backend_, users.rows * items.rows);
    backend_.matmul(Transpose::no, Transpose::yes, 1.0f, users, items, 0.0f,
                    scores.matrix(users.rows, items.rows));
    const std::vector<double> expected = golden_.values(name + "/scores.npy");
    report_.add("scores", "scores", distance(scores.download(), expected), 1e-5 * norm(expected));
  }

  void compare_gradients(const Program& program, const std::string& model, const json& trained) {
    double largest = 0.0;
    std::map<std::string, std::vector<double>> expected;
    for (const std::string name : trained) {
      expected[name] = golden_.values(fmt::format("{}/gradients/{}.npy", model, name));
      largest = std::max(largest, norm(expected[name]));
    }
    for (const ParameterView& parameter : program.parameters()) {
      const std::vector<float> gradient = program.download_gradient(parameter.name);
      auto next = gradient.begin();
      for (const std::string& name : golden_names(model, parameter.name)) {
        const std::vector<double> golden = expected.at(name);
        const auto size =
            std::min<std::ptrdiff_t>(gradient.end() - next, static_cast<std::ptrdiff_t>(golden.size()));
        const std::vector<float> part(next, next + size);
        next += size;
        expected.erase(name);
        if (!golden_.compares(model + "/" + name)) continue;
        report_.add("gradients", name, distance(part, golden), 1e-4 * std::max(norm(golden), 1e-3 * largest));
      }
    }
    if (!expected.empty())
      throw Error(fmt::format("{}: nobody has the parameter {}", model, expected.begin()->first));
  }

  const GoldenFolder& golden_;
  const GoldenFolder& sea_;
  Backend& backend_;
  GoldenData data_folder_;
  GoldenReport report_;
};

}  // namespace

bool replay_models(const GoldenFolder& golden, const GoldenFolder& sea, Backend& backend) {
  return Replay(golden, sea, backend).run();
}

}  // namespace sea::test
