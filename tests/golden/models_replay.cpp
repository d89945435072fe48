#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "configuration/registry.hpp"
#include "data/dataset.hpp"
#include "golden/golden.hpp"

namespace sea::test {

namespace {

using nlohmann::json;

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
    const Configuration configuration = configuration_of_case(name, description, sea_.manifest());
    Dataset data = load_dataset(data_folder_.folder(), configuration.model().files(configuration));
    const auto model = configuration.model().build(backend_, data, configuration, [](const std::string&) {});
    Program& program = model->program;
    golden_.upload_parameters(program, name, name);
    model->evaluate();
    compare_scores(*model, name);
    sea_.upload_batch(*model, 0);
    model->training->forward();
    model->training->backward();
    golden_.compare_gradients(program, name, name, description["trained"], report_);
    model->training->update();
    model->schedule.step->finish();
    const double loss = description["loss"], ours = program.losses().download().back();
    report_.add("loss", "total", std::abs(ours - loss), 1e-5 * std::max(1.0, std::abs(loss)));
  }

  void compare_scores(const Model& model, const std::string& name) {
    const std::vector<double> expected = golden_.values(name + "/scores.npy");
    report_.add("scores", "scores", distance(score_all(model), expected), 1e-5 * norm(expected));
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
