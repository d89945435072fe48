#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "configuration/configuration.hpp"
#include "models/model.hpp"

// What the replays of golden folders have in common.
namespace sea::test {

double norm(const std::vector<double>& values);
/// ||x - golden||; infinite where the sizes differ.
double distance(const std::vector<float>& x, const std::vector<double>& golden);

/// Errors by case and group, each as a share of what is allowed.
class GoldenReport {
 public:
  void start_case(const std::string& name) { case_ = name; }
  void add(const std::string& group, const std::string& array, double error, double allowed);
  /// Prints the table. True where nothing is past its bound.
  bool print() const;

 private:
  struct Row {
    std::string case_name, group, worst;
    int arrays;
    double error, allowed;
  };
  std::string case_;
  std::vector<Row> rows_;
};

/// A folder of golden numbers: a manifest and .npy files.
class GoldenFolder {
 public:
  explicit GoldenFolder(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  const nlohmann::json& manifest() const { return manifest_; }
  bool compares(const std::string& name) const { return not_compared_.count(name) == 0; }
  std::vector<double> values(const std::filesystem::path& file) const;
  /// Copies a parameter's golden values, those of `files` one after the other, to where it lies.
  void upload(Backend& backend, const ParameterView& parameter,
              const std::vector<std::filesystem::path>& files) const;
  /// CASE/parameters of a model of that kind.
  void upload_parameters(const Program& program, const std::string& model,
                         const std::string& case_name) const;
  /// The gradients of the arrays `trained` against CASE/gradients.
  void compare_gradients(const Program& program, const std::string& model, const std::string& case_name,
                         const nlohmann::json& trained, GoldenReport& report) const;
  /// Batch N and the draws that the model names, and the state of that step.
  void upload_batch(Model& model, std::int64_t step) const;

 private:
  std::filesystem::path path_;
  nlohmann::json manifest_;
  std::set<std::string> not_compared_;
};

/// The golden folder under a name that the data reader expects: its interactions are called golden.inter
/// whatever the folder is called.
class GoldenData {
 public:
  explicit GoldenData(const std::filesystem::path& golden);
  ~GoldenData();
  GoldenData(const GoldenData&) = delete;
  GoldenData& operator=(const GoldenData&) = delete;
  std::filesystem::path folder() const { return root_ / "golden"; }

 private:
  std::filesystem::path root_;
};

/// A value of the program, without gaps.
std::vector<float> download(const Program& program, const Tensor& tensor);

/// The names under which a golden case has a parameter of a model: users and items are one array here and two
/// there.
std::vector<std::string> golden_names(const std::string& model, const std::string& parameter);

/// A model's configuration: the sizes of the golden SEA runs, and what a case's description says.
Configuration configuration_of_case(const std::string& model, const nlohmann::json& description,
                                    const nlohmann::json& sea);

/// The scores of all users and items, after `evaluate`.
std::vector<float> score_all(const Model& model);

/// The cases of SEA. True where all is within bounds.
bool replay_sea(const GoldenFolder& golden, Backend& backend);
/// The other models, on the data and the first batch of `sea`.
bool replay_models(const GoldenFolder& golden, const GoldenFolder& sea, Backend& backend);
/// MMGCN, DualGNN, LATTICE, SLMRec and BM3, on the data and the batches of `sea`.
bool replay_company_first(const GoldenFolder& golden, const GoldenFolder& sea, Backend& backend);
/// Whether the folder has cases of MGCN, LGMRec, MICRO, MMSSL or PAMD; and these, on the data and batches of
/// `beside`.
bool is_company_second(const GoldenFolder& golden);
bool replay_company_second(const GoldenFolder& golden, const GoldenFolder& beside, Backend& backend);

}  // namespace sea::test
