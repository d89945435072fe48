#include "golden/golden.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>

#include "configuration/registry.hpp"
#include "data/npy.hpp"
#include "sea/error.hpp"

namespace sea::test {

namespace fs = std::filesystem;
using nlohmann::json;

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

void GoldenReport::add(const std::string& group, const std::string& array, double error, double allowed) {
  for (Row& row : rows_) {
    if (row.case_name != case_ || row.group != group) continue;
    ++row.arrays;
    if (!(error / allowed <= row.error / row.allowed)) {
      row.worst = array;
      row.error = error;
      row.allowed = allowed;
    }
    return;
  }
  rows_.push_back({case_, group, array, 1, error, allowed});
}

bool GoldenReport::print() const {
  bool good = true;
  fmt::print("{:<16} {:<18} {:>6}  {:>10}  {:>10}  {:<6} {}\n", "case", "group", "arrays", "error", "bound",
             "", "worst array");
  for (const Row& row : rows_) {
    const bool within = row.error <= row.allowed;  // false for NaN
    good = good && within;
    fmt::print("{:<16} {:<18} {:>6}  {:>10.2e}  {:>10.2e}  {:<6} {}\n", row.case_name, row.group, row.arrays,
               row.error, row.allowed, within ? "ok" : "PAST", row.worst);
  }
  fmt::print("{}\n", good ? "all within bounds" : "PAST A BOUND");
  return good && !rows_.empty();
}

GoldenFolder::GoldenFolder(const fs::path& folder) : path_(folder) {
  std::ifstream file(folder / "manifest.json");
  if (!file) throw Error(fmt::format("{}: no manifest.json", folder.string()));
  manifest_ = json::parse(file);
  for (const json& name : manifest_.value("not_compared", json::array())) not_compared_.insert(name);
}

std::vector<double> GoldenFolder::values(const fs::path& file) const {
  std::vector<std::int64_t> shape;
  return read_npy_values(path_ / file, shape);
}

void GoldenFolder::upload(Backend& backend, const ParameterView& parameter,
                          const std::vector<fs::path>& files) const {
  std::vector<float> all;
  for (const fs::path& file : files) {
    const std::vector<double> part = values(file);
    all.insert(all.end(), part.begin(), part.end());
  }
  if (static_cast<std::int64_t>(all.size()) != parameter.size()) {
    throw Error(fmt::format("{} has {} values; {} must have {}", files.front().string(), all.size(),
                            parameter.name, parameter.size()));
  }
  backend.copy_to_device(parameter.value, all.data(), all.size() * sizeof(float));
}

void GoldenFolder::upload_parameters(const Program& program, const std::string& model,
                                     const std::string& case_name) const {
  for (const ParameterView& parameter : program.parameters()) {
    std::vector<fs::path> files;
    for (const std::string& name : golden_names(model, parameter.name))
      files.emplace_back(fmt::format("{}/parameters/{}.npy", case_name, name));
    upload(program.backend(), parameter, files);
  }
}

void GoldenFolder::compare_gradients(const Program& program, const std::string& model,
                                     const std::string& case_name, const json& trained,
                                     GoldenReport& report) const {
  double largest = 0.0;
  std::map<std::string, std::vector<double>> expected;
  for (const std::string name : trained) {
    expected[name] = values(fmt::format("{}/gradients/{}.npy", case_name, name));
    largest = std::max(largest, norm(expected[name]));
  }
  for (const ParameterView& parameter : program.parameters()) {
    const std::vector<float> gradient = program.download_gradient(parameter.name);
    auto next = gradient.begin();
    for (const std::string& name : golden_names(model, parameter.name)) {
      const auto found = expected.find(name);
      if (found == expected.end()) continue;
      const std::vector<double> golden = found->second;
      expected.erase(found);
      const auto size =
          std::min<std::ptrdiff_t>(gradient.end() - next, static_cast<std::ptrdiff_t>(golden.size()));
      const std::vector<float> part(next, next + size);
      next += size;
      if (!compares(case_name + "/" + name)) continue;
      report.add("gradients", name, distance(part, golden), 1e-4 * std::max(norm(golden), 1e-3 * largest));
    }
  }
  if (!expected.empty())
    throw Error(fmt::format("{}: nobody has the parameter {}", case_name, expected.begin()->first));
}

void GoldenFolder::upload_batch(Model& model, std::int64_t step) const {
  const auto upload = [&](const std::string& name, const Indices& indices) {
    const IndexView to = model.program.value(indices);
    const std::vector<double> read = values(fmt::format("batches/{}/{}.npy", step, name));
    const std::vector<std::int32_t> ids(read.begin(), read.end());
    if (ids.size() > to.size()) throw Error(fmt::format("batches/{}/{}.npy is too long", step, name));
    model.program.backend().copy_to_device(to.data(), ids.data(), ids.size() * sizeof(std::int32_t));
    return static_cast<std::int64_t>(ids.size());
  };
  const std::int64_t count = upload("user", model.batch.users);
  upload("positive", model.batch.positives);
  upload("negative", model.batch.negatives);
  for (const auto& [name, draw] : model.draws) upload(name, draw);
  const StepState state{step, 0, 0, count};
  model.program.step_state().upload({&state, 1});
}

std::vector<std::string> golden_names(const std::string& model, const std::string& parameter) {
  if (parameter != "node_embedding") return {parameter};
  if (model == "lightgcn") return {"embedding_dict.user_emb", "embedding_dict.item_emb"};
  if (model == "layergcn") return {"user_embeddings", "item_embeddings"};
  return {"user_embedding.weight", "item_id_embedding.weight"};
}

Configuration configuration_of_case(const std::string& model, const json& description, const json& sea) {
  Configuration configuration(*find_model(model, "golden").model);
  const auto set = [&](const std::string& key, const json& value) {
    if (configuration.has(key)) configuration.set_text(key, value.dump(), "golden");
  };
  set("embedding_size", sea["sizes"]["dim"]);
  set("train_batch_size", sea["sizes"]["batch"]);
  for (const auto& [key, value] : description.items()) set(key, value);
  return configuration;
}

std::vector<float> score_all(const Model& model) {
  const ConstMatrixView users = model.program.value(model.users), items = model.program.value(model.items);
  Backend& backend = model.program.backend();
  const Buffer<float> scores(backend, users.rows * items.rows);
  backend.matmul(Transpose::no, Transpose::yes, 1.0f, users, items, 0.0f,
                 scores.matrix(users.rows, items.rows));
  return scores.download();
}

GoldenData::GoldenData(const fs::path& golden) {
  std::string pattern = (fs::temp_directory_path() / "golden_replay_XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw Error("no temporary folder could be made at " + pattern);
  root_ = pattern;
  fs::create_directory(folder());
  for (const char* name : {"golden.inter", "image_feat.npy", "text_feat.npy"}) {
    fs::create_symlink(fs::absolute(golden / name), folder() / name);
  }
}

GoldenData::~GoldenData() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::vector<float> download(const Program& program, const Tensor& tensor) {
  const MatrixView view = program.value(tensor);
  std::vector<float> values(static_cast<std::size_t>(view.size()));
  for (std::int64_t i = 0; i < view.rows; ++i) {
    program.backend().copy_to_host(values.data() + i * view.columns, view.row(i),
                                   static_cast<std::size_t>(view.columns) * sizeof(float));
  }
  return values;
}

}  // namespace sea::test
