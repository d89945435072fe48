#include <fmt/format.h>

#include <cmath>

#include "configuration/registry.hpp"
#include "golden/company_second.hpp"
#include "sea/error.hpp"

// PAMD: parameters of both phases under one name.

namespace sea::test {

namespace {

using nlohmann::json;

std::vector<float> download(const GoldenCase& golden, const float* data, std::int64_t size) {
  std::vector<float> values(static_cast<std::size_t>(size));
  golden.backend().copy_to_host(values.data(), data, values.size() * sizeof(float));
  return values;
}

/// A phase of PAMD: its arrays in the case, its step, and what puts a batch there.
struct Phase {
  const GoldenCase& golden;
  Model& model;
  Step& step;

  /// The case's name of a parameter; empty for one that this phase does not train.
  std::string file(const std::string& folder, const std::string& parameter) const {
    for (const char* prefix : {"", "PreTrain."}) {
      const std::string name = fmt::format("{}/{}{}.npy", folder, prefix, parameter);
      if (golden.has(name)) return name;
    }
    return {};
  }

  void upload_parameters() const {
    for (const ParameterView& parameter : model.program.parameters()) {
      const std::string name = file("parameters", parameter.name);
      if (name.empty()) continue;
      const std::vector<double> read = golden.values(name);
      const std::vector<float> values(read.begin(), read.end());
      golden.backend().copy_to_device(parameter.value, values.data(), values.size() * sizeof(float));
    }
  }

  void compare_gradients() const {
    std::size_t compared = 0;
    double largest = 0.0;
    const json& trained = golden.settings().at("trained");
    for (const std::string name : trained)
      largest = std::max(largest, norm(golden.values(fmt::format("gradients/{}.npy", name))));
    for (const ParameterView& parameter : model.program.parameters()) {
      const std::string name = file("gradients", parameter.name);
      if (name.empty()) continue;
      const std::vector<double> expected = golden.values(name);
      golden.report().add("gradients", parameter.name,
                          distance(model.program.download_gradient(parameter.name), expected),
                          1e-4 * std::max(norm(expected), 1e-3 * largest));
      ++compared;
    }
    if (compared != trained.size()) throw Error(fmt::format("{} of {} gradients", compared, trained.size()));
  }

  void compare_parameters_after() const {
    for (const ParameterView& parameter : model.program.parameters()) {
      const std::string name = file("parameters_after", parameter.name);
      if (name.empty()) continue;
      const std::vector<double> expected = golden.values(name);
      golden.report().add("parameters after", parameter.name,
                          distance(download(golden, parameter.value, parameter.size()), expected),
                          1e-3 * norm(expected));
    }
  }

  /// The steps of the case, the first of them with its gradients.
  void run(const std::function<void(std::size_t step)>& put_batch) const {
    const json& losses = golden.settings().at("losses");
    for (std::size_t i = 0; i < losses.size(); ++i) {
      put_batch(i);
      for (Tape* tape : step.tapes()) {
        tape->forward();
        tape->backward();
        if (i == 0) compare_gradients();
        tape->update();
      }
      step.finish();
      golden.compare_loss(fmt::format("step {}", i), model.program.losses().download().back(), losses[i]);
    }
    compare_parameters_after();
  }
};

void compare_scores(const GoldenCase& golden, Model& model) {
  model.evaluate();
  const ConstMatrixView users = model.program.value(model.users), items = model.program.value(model.items);
  Backend& backend = golden.backend();
  const std::int64_t k = items.rows;
  const Buffer<std::int32_t> ids(backend, users.rows * k);
  const Buffer<float> scores(backend, users.rows * k);
  const Buffer<std::byte> workspace(
      backend, static_cast<std::int64_t>(backend.rank_attentive_workspace(users.rows, k, users.columns, k)));
  backend.rank_attentive(users, items, k, {}, ids.span(), scores.span(),
                         {workspace.data(), workspace.bytes()});
  const std::vector<std::int32_t> ranked = ids.download();
  const std::vector<float> values = scores.download();
  std::vector<float> by_item(values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    by_item[i / k * k + static_cast<std::size_t>(ranked[i])] = values[i];
  const std::vector<double> expected = golden.values("scores.npy");
  golden.report().add("scores", "scores", distance(by_item, expected), 1e-5 * norm(expected));
}

}  // namespace

void replay_pamd(const GoldenCase& golden) {
  const bool pretraining = golden.settings().at("phase") == "pretraining";
  Configuration configuration =
      golden.configuration({{"weight_decay", pretraining ? "pretrain_weight_decay" : "weight_decay"},
                            {"pre_l_r", "pretrain_learning_rate"},
                            {"bpr_l_r", "learning_rate"},
                            {"finetune_l_r", "finetune_learning_rate"}});
  configuration.set_text("train_batch_size", "29", "golden");
  if (!pretraining) configuration.set_text("pretrain_epochs", "0", "golden");
  const std::vector<double> items = pretraining ? golden.values("inputs/items.0.npy") : std::vector<double>{};
  if (pretraining) configuration.set_text("pretrain_batch_size", std::to_string(items.size()), "golden");
  Dataset data = golden.dataset(configuration);
  const auto model =
      configuration.model().build(golden.backend(), data, configuration, [](const std::string&) {});
  model->begin_epoch(0);
  const Phase phase{golden, *model, pretraining ? *model->schedule.pretraining : *model->schedule.step};
  phase.upload_parameters();
  if (!pretraining) {
    compare_scores(golden, *model);
    phase.run([&](std::size_t i) { golden.upload_batch(*model, golden.settings().at("batches")[i]); });
    return;
  }
  phase.run([&](std::size_t i) {
    const std::vector<double> read = golden.values(fmt::format("inputs/items.{}.npy", i));
    const std::vector<std::int32_t> ids(read.begin(), read.end());
    const IndexView to = model->program.value(model->item_batch.positives);
    if (ids.size() > to.size()) throw Error("a batch of items is longer than the first");
    golden.backend().copy_to_device(to.data(), ids.data(), ids.size() * sizeof(std::int32_t));
    const StepState state{static_cast<std::int64_t>(i), 0, 0, static_cast<std::int64_t>(ids.size())};
    model->program.step_state().upload({&state, 1});
  });
}

}  // namespace sea::test
