#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "configuration/registry.hpp"
#include "data/dataset.hpp"
#include "golden/company_second.hpp"
#include "sea/error.hpp"

namespace sea::test {

namespace fs = std::filesystem;
using nlohmann::json;

const std::map<std::string, ReplayCase>& company_second_replays() {
  static const std::map<std::string, ReplayCase> replays = {{"mgcn", replay_one_batch},
                                                            {"lgmrec", replay_one_batch},
                                                            {"micro", replay_micro},
                                                            {"mmssl", replay_mmssl},
                                                            {"pamd", replay_pamd}};
  return replays;
}

bool is_company_second(const GoldenFolder& golden) {
  const json& manifest = golden.manifest();
  return std::any_of(manifest.begin(), manifest.end(), [](const json& entry) {
    return entry.is_object() && entry.contains("model") &&
           company_second_replays().count(entry["model"].get<std::string>()) != 0;
  });
}

bool replay_company_second(const GoldenFolder& golden, const GoldenFolder& beside, Backend& backend) {
  const GoldenData data(beside.path());
  const fs::path folder = data.folder();
  GoldenReport report;
  for (const auto& [name, entry] : golden.manifest().items()) {
    if (name == "not_compared") continue;
    report.start_case(name);
    try {
      const std::string model = entry.at("model");
      const auto replay = company_second_replays().find(model);
      if (replay == company_second_replays().end() || replay->second == nullptr)
        throw Error(fmt::format("nobody replays the model {}", model));
      replay->second(GoldenCase(golden, beside, folder, backend, report, name));
    } catch (const std::exception& error) {
      report.add("replay", error.what(), std::numeric_limits<double>::infinity(), 1.0);
    }
  }
  return report.print();
}

bool GoldenCase::has(const std::string& file) const {
  return fs::exists(golden_.path() / name_ / file);
}

Configuration GoldenCase::configuration(const RenamedKeys& renamed) const {
  Configuration configuration(*find_model(settings_.at("model"), "golden").model);
  for (const auto& [setting, value] : settings_.items()) {
    const auto other = renamed.find(setting);
    const std::string& key = other == renamed.end() ? setting : other->second;
    if (configuration.has(key)) configuration.set_text(key, value.dump(), "golden " + name_);
  }
  return configuration;
}

Dataset GoldenCase::dataset(const Configuration& configuration) const {
  return load_dataset(data_, configuration.model().files(configuration));
}

std::unique_ptr<Model> GoldenCase::build(const Configuration& configuration) const {
  Dataset data = dataset(configuration);
  auto model = configuration.model().build(backend_, data, configuration, [](const std::string&) {});
  for (const ParameterView& parameter : model->program.parameters()) {
    std::vector<fs::path> files;
    for (const std::string& name : golden_names(settings_.at("model"), parameter.name))
      files.emplace_back(fmt::format("{}/parameters/{}.npy", name_, name));
    golden_.upload(backend_, parameter, files);
  }
  return model;
}

void GoldenCase::upload(const Model& model, const Tensor& tensor, const std::string& file) const {
  const std::vector<double> read = values(file);
  const MatrixView to = model.program.value(tensor);
  if (static_cast<std::int64_t>(read.size()) != to.size() || !to.contiguous())
    throw Error(
        fmt::format("{}/{} has {} values, not {} x {}", name_, file, read.size(), to.rows, to.columns));
  const std::vector<float> values(read.begin(), read.end());
  backend_.copy_to_device(to.data, values.data(), values.size() * sizeof(float));
}

void GoldenCase::upload_inputs(const Model& model, Inputs which) const {
  if (!has("inputs")) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(golden_.path() / name_ / "inputs")) {
    const std::string name = entry.path().stem().string();
    if ((name.rfind("scores_", 0) == 0) != (which == Inputs::scores)) continue;
    const auto value = model.values.find(name);
    if (value == model.values.end()) throw Error(fmt::format("nobody reads {}/inputs/{}", name_, name));
    upload(model, value->second, fmt::format("inputs/{}.npy", name));
  }
}

void GoldenCase::run(Model& model, Step& step, std::int64_t batch, const std::function<void()>& look,
                     bool with_inputs) const {
  beside_.upload_batch(model, batch);
  if (with_inputs) upload_inputs(model, Inputs::step);
  for (Tape* tape : step.tapes()) {
    tape->forward();
    tape->backward();
    if (look && tape == step.tapes().back()) look();
    tape->update();
  }
  step.finish();
}

void GoldenCase::evaluate_and_compare_scores(Model& model) const {
  upload_inputs(model, Inputs::scores);
  model.evaluation->forward();
  compare_scores(model);
}

void GoldenCase::compare_scores(const Model& model) const {
  const std::vector<double> expected = values("scores.npy");
  report_.add("scores", "scores", distance(score_all(model), expected), 1e-5 * norm(expected));
}

void GoldenCase::compare_loss(const std::string& name, double ours, double expected) const {
  report_.add("loss", name, std::abs(ours - expected), 1e-5 * std::max(1.0, std::abs(expected)));
}

void GoldenCase::compare_gradients(const Program& program, const Step& step) const {
  double largest = 0.0;
  std::map<std::string, std::vector<double>> expected;
  for (const std::string name : settings_.at("trained")) {
    expected[name] = values(fmt::format("gradients/{}.npy", name));
    largest = std::max(largest, norm(expected[name]));
  }
  const auto moved = [&](const Arena& arena) {
    return std::any_of(step.tapes().begin(), step.tapes().end(), [&](const Tape* tape) {
      return std::find(tape->moves().begin(), tape->moves().end(), &arena) != tape->moves().end();
    });
  };
  for (const Arena& arena : program.arenas()) {
    for (const ParameterView& parameter : arena.parameters()) {
      std::vector<float> gradient(static_cast<std::size_t>(parameter.size()));
      if (moved(arena)) gradient = program.download_gradient(parameter.name);
      auto next = gradient.begin();
      for (const std::string& name : golden_names(settings_.at("model"), parameter.name)) {
        const auto found = expected.find(name);
        if (found == expected.end()) {
          // Those that this step does not train.
          if (!moved(arena)) continue;
          throw Error(fmt::format("{} has no gradient of {}", name_, name));
        }
        const std::vector<double> golden = found->second;
        expected.erase(found);
        const auto size =
            std::min<std::ptrdiff_t>(gradient.end() - next, static_cast<std::ptrdiff_t>(golden.size()));
        const std::vector<float> part(next, next + size);
        next += size;
        if (!golden_.compares(name_ + "/" + name)) continue;
        report_.add("gradients", name, distance(part, golden), 1e-4 * std::max(norm(golden), 1e-3 * largest));
      }
    }
  }
  if (!expected.empty()) throw Error(fmt::format("nobody has the parameter {}", expected.begin()->first));
}

void GoldenCase::compare_parameters_after(const Program& program) const {
  for (const ParameterView& parameter : program.parameters()) {
    std::vector<float> values_after(static_cast<std::size_t>(parameter.size()));
    backend_.copy_to_host(values_after.data(), parameter.value, values_after.size() * sizeof(float));
    auto next = values_after.begin();
    for (const std::string& name : golden_names(settings_.at("model"), parameter.name)) {
      const std::vector<double> expected = values(fmt::format("parameters_after/{}.npy", name));
      const auto size =
          std::min<std::ptrdiff_t>(values_after.end() - next, static_cast<std::ptrdiff_t>(expected.size()));
      const std::vector<float> part(next, next + size);
      next += size;
      if (!golden_.compares(name_ + "/" + name)) continue;
      report_.add("parameters after", name, distance(part, expected), 1e-3 * norm(expected));
    }
  }
}

void replay_one_batch(const GoldenCase& golden) {
  const auto model = golden.build(golden.configuration());
  golden.evaluate_and_compare_scores(*model);
  Step& step = *model->schedule.step;
  golden.run(*model, step, golden.settings().at("batch"),
             [&] { golden.compare_gradients(model->program, step); });
  golden.compare_loss("total", model->program.losses().download().back(), golden.settings().at("loss"));
}

}  // namespace sea::test
