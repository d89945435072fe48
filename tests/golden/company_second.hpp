#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "configuration/configuration.hpp"
#include "golden/golden.hpp"

// What the replays of the folder golden_company_second have in common.
namespace sea::test {

/// Names of configuration keys by what a manifest calls them.
using RenamedKeys = std::map<std::string, std::string>;

/// Whose draws a case's `inputs` are: those of its scores begin with "scores_".
enum class Inputs { step, scores };

/// One case of the folder: its settings, and its arrays against those of a model.
class GoldenCase {
 public:
  GoldenCase(const GoldenFolder& golden, const GoldenFolder& beside, const std::filesystem::path& data,
             Backend& backend, GoldenReport& report, std::string name)
      : golden_(golden),
        beside_(beside),
        data_(data),
        backend_(backend),
        report_(report),
        name_(std::move(name)),
        settings_(golden.manifest().at(name_)) {}

  const std::string& name() const { return name_; }
  /// The manifest's entry.
  const nlohmann::json& settings() const { return settings_; }
  Backend& backend() const { return backend_; }
  GoldenReport& report() const { return report_; }
  /// Whether the case has such a folder or file.
  bool has(const std::string& file) const;
  /// False for an array whose true gradient is 0.
  bool compares(const std::string& array) const { return golden_.compares(name_ + "/" + array); }
  std::vector<double> values(const std::string& file) const { return golden_.values(name_ + "/" + file); }

  /// The default configuration of the case's model with every setting that it has a key for.
  Configuration configuration(const RenamedKeys& renamed = {}) const;
  Dataset dataset(const Configuration& configuration) const;
  /// The model of that configuration, with the case's parameters.
  std::unique_ptr<Model> build(const Configuration& configuration) const;
  /// Copies an array of the case to a tensor.
  void upload(const Model& model, const Tensor& tensor, const std::string& file) const;
  /// Copies the inputs to the values of the model that have their names.
  void upload_inputs(const Model& model, Inputs which) const;

  /// Puts a batch of the case's data, and the state of that step, where the model reads them.
  void upload_batch(Model& model, std::int64_t batch) const { beside_.upload_batch(model, batch); }
  /// One training step on a batch of the case's data, operator by operator, all draws but those uploaded
  /// here left out; `look` is called before the update.
  void run(Model& model, Step& step, std::int64_t batch, const std::function<void()>& look = {},
           bool with_inputs = true) const;

  /// The scores of the present parameters: with the evaluation run without its draws, or as they are.
  void evaluate_and_compare_scores(Model& model) const;
  void compare_scores(const Model& model) const;
  void compare_loss(const std::string& name, double ours, double expected) const;
  /// The gradients of the parameters that `step` moves; those of others are 0.
  void compare_gradients(const Program& program, const Step& step) const;
  void compare_parameters_after(const Program& program) const;

 private:
  const GoldenFolder& golden_;
  const GoldenFolder& beside_;
  const std::filesystem::path& data_;
  Backend& backend_;
  GoldenReport& report_;
  std::string name_;
  const nlohmann::json& settings_;
};

/// What replays a case, by its model. A model without one fails its cases.
using ReplayCase = void (*)(const GoldenCase&);
const std::map<std::string, ReplayCase>& company_second_replays();

/// PAMD's two phases.
void replay_pamd(const GoldenCase& golden);
/// MMSSL's two halves of a step, and its graphs.
void replay_mmssl(const GoldenCase& golden);

/// Scores, loss and gradients of one batch, where nothing but the batch is special.
void replay_one_batch(const GoldenCase& golden);
void replay_micro(const GoldenCase& golden);

}  // namespace sea::test
