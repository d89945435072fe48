#include "training/checkpoint.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/json_text.hpp"
#include "data/safetensors.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* checkpoint_format = "sea-checkpoint-2";
constexpr const char* best_format = "sea-best-1";
/// More than a header takes, for the estimate of a file's size.
constexpr std::int64_t header_allowance = 1 << 16;

struct Part {
  const char* prefix;
  float* ParameterView::*array;
};
constexpr Part parts[] = {{"parameters/", &ParameterView::value},
                          {"first_moments/", &ParameterView::first_moment},
                          {"second_moments/", &ParameterView::second_moment}};

/// Arrays of device memory on their way to a file: pointers to them where the host can read them, else
/// copies.
class OutgoingArrays {
 public:
  explicit OutgoingArrays(Backend& backend) : backend_(backend) { backend.synchronize(); }

  void add(const std::string& name, ConstMatrixView view) {
    const float* data = view.data;
    if (!backend_.host_readable() || !view.contiguous()) {
      copies_.push_back(to_host(backend_, view));
      data = copies_.back().values.data();
    }
    arrays_.push_back({name, "F32", {view.rows, view.columns}, data});
  }
  void add_host(const std::string& name, const HostMatrix& matrix) {
    arrays_.push_back({name, "F32", {matrix.rows, matrix.columns}, matrix.values.data()});
  }
  void add_host(const std::string& name, const ParameterView& like, const std::vector<float>& values) {
    arrays_.push_back({name, "F32", {like.rows, like.columns}, values.data()});
  }
  const std::vector<SafetensorsArray>& arrays() const { return arrays_; }

 private:
  Backend& backend_;
  std::vector<SafetensorsArray> arrays_;
  std::deque<HostMatrix> copies_;
};

std::int64_t parameter_bytes(const Model& model) {
  std::int64_t count = 0;
  for (const ParameterView& parameter : model.program.parameters()) count += parameter.size();
  return count * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t state_bytes(const Model& model) {
  std::int64_t count = 0;
  for (const StateView& state : model.program.states()) count += state.size();
  return count * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t representation_bytes(const Model& model) {
  return (model.users.rows * model.users.columns + model.items.rows * model.items.columns) *
         static_cast<std::int64_t>(sizeof(float));
}

Json to_json(const TrainingState& state, const Program& program) {
  const StepState step = program.step_state().download().front();
  Json json;
  json["epochs"] = state.epochs;
  json["step"] = step.step;
  json["epoch"] = step.epoch;
  json["first"] = step.first;
  json["count"] = step.count;
  for (const Arena& arena : program.arenas()) {
    const OptimizerState optimizer = arena.download_state();
    json["optimizers"][arena.name()] = {{"step", optimizer.step}, {"learning_rate", optimizer.learning_rate}};
  }
  json["loss_sums"] = program.losses().download_sums();
  if (state.stopping.best_epoch() >= 0) {
    json["best"] = {{"epoch", state.stopping.best_epoch()},
                    {"without_gain", state.stopping.without_gain()},
                    {"valid", to_json(state.best_valid)},
                    {"test", to_json(state.best_test)}};
    if (state.stopping.best_value()) json["best"]["value"] = *state.stopping.best_value();
  }
  return json;
}

[[noreturn]] void foreign(const fs::path& file, const std::string& why) {
  throw Error(fmt::format("{}: was not written by this run: {}", file.string(), why));
}

void check_origin(const Safetensors& file, const fs::path& path, const std::string& identity) {
  const auto& metadata = file.metadata();
  const auto format = metadata.find("format"), run = metadata.find("run");
  if (format == metadata.end() || (format->second != checkpoint_format && format->second != best_format))
    foreign(path, "it is no checkpoint of this program");
  if (run == metadata.end() || run->second != identity)
    foreign(path, "its configuration or its data is another");
}

void check_shape(const Safetensors& file, const fs::path& path, const std::string& name, std::int64_t rows,
                 std::int64_t columns) {
  if (!file.contains(name)) foreign(path, fmt::format("it has no array '{}'", name));
  if (file.shape(name) != std::vector<std::int64_t>{rows, columns})
    foreign(path, fmt::format("its array '{}' is not {} x {}", name, rows, columns));
}

/// An array of the file into memory of the device.
void restore_array(const Safetensors& file, const fs::path& path, const std::string& name, Backend& backend,
                   float* array, std::int64_t rows, std::int64_t columns) {
  check_shape(file, path, name, rows, columns);
  const std::span<const char> bytes = file.float_bytes(name);
  backend.copy_to_device(array, bytes.data(), bytes.size());
}

HostMatrix read_matrix(const Safetensors& file, const fs::path& path, const std::string& name,
                       std::int64_t rows, std::int64_t columns) {
  check_shape(file, path, name, rows, columns);
  HostMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.values = file.floats(name);
  return matrix;
}

void restore_state(const std::string& text, const fs::path& file, Model& model, TrainingState& state) {
  const Json json = parse_json<Json>(text);
  // Converted from a fraction, or from more than 63 bits, a number would be any.
  const auto natural = [&](const Json& of, const char* key) {
    const Json& number = of.at(key);
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > std::uint64_t{INT64_MAX})
      foreign(file, fmt::format("the '{}' of its state is no natural number", key));
    return number.get<std::int64_t>();
  };
  Program& program = model.program;
  try {
    state.epochs = natural(json, "epochs");
    const Step& of = model.schedule.step_of(state.epochs);
    std::int64_t pairs = of.pairs(), batch_size = of.batch_size();
    const StepState step{natural(json, "step"), natural(json, "epoch"), natural(json, "first"),
                         natural(json, "count")};
    if (model.schedule.pretraining != nullptr && state.epochs == model.schedule.pretraining_epochs &&
        step.first == 0) {
      // The pretraining's last step left the count of its own next one; Model::begin_epoch replaces it.
      pairs = std::max(pairs, model.schedule.pretraining->pairs());
      batch_size = std::max(batch_size, model.schedule.pretraining->batch_size());
    }
    const auto sums = json.at("loss_sums").get<std::vector<double>>();
    // A batch beyond the pairs would be read from beyond their memory.
    if (step.count < 1 || step.count > batch_size || step.first > pairs - step.count ||
        sums.size() != program.losses().names().size())
      foreign(file, "its state is impossible");
    for (Arena& arena : program.arenas()) {
      const Json& optimizer = json.at("optimizers").at(arena.name());
      const OptimizerState state_of{natural(optimizer, "step"), optimizer.at("learning_rate")};
      if (!(state_of.learning_rate > 0.0)) foreign(file, "its state is impossible");
      arena.upload_state(state_of);
    }
    program.step_state().upload({&step, 1});
    program.losses().upload_sums(sums);
    if (json.contains("best")) {
      const Json& best = json.at("best");
      std::optional<double> value;
      if (best.contains("value")) value = best.at("value").get<double>();
      state.stopping.restore(natural(best, "epoch"), value, natural(best, "without_gain"));
      state.best_valid = metrics_of(best.at("valid"));
      state.best_test = metrics_of(best.at("test"));
    }
  } catch (const Json::exception&) {
    foreign(file, "its state cannot be read");
  }
}

}  // namespace

void BestModel::take(const Model& model) {
  Backend& backend = model.program.backend();
  const std::vector<ParameterView> views = model.program.parameters();
  parameters.resize(views.size());
  for (std::size_t i = 0; i < views.size(); ++i) {
    parameters[i].resize(static_cast<std::size_t>(views[i].size()));
    backend.copy_to_host(parameters[i].data(), views[i].value, parameters[i].size() * sizeof(float));
  }
  users = to_host(backend, model.program.value(model.users));
  items = to_host(backend, model.program.value(model.items));
}

std::int64_t checkpoint_bytes(const Model& model) {
  return 4 * parameter_bytes(model) + state_bytes(model) + 2 * representation_bytes(model) + header_allowance;
}

std::int64_t best_bytes(const Model& model) {
  return parameter_bytes(model) + representation_bytes(model) + header_allowance;
}

void write_checkpoint(const fs::path& file, const std::string& identity, Model& model,
                      const TrainingState& state, const BestModel& best) {
  Program& program = model.program;
  model.evaluate();
  OutgoingArrays outgoing(program.backend());
  const std::vector<ParameterView> views = program.parameters();
  for (const Part& part : parts) {
    for (const ParameterView& view : views)
      outgoing.add(part.prefix + view.name, {view.*part.array, view.rows, view.columns});
  }
  for (const StateView& array : program.states())
    outgoing.add("states/" + array.name, {array.value, array.rows, array.columns});
  outgoing.add("user_embeddings", program.value(model.users));
  outgoing.add("item_embeddings", program.value(model.items));
  if (!best.empty()) {
    for (std::size_t i = 0; i < views.size(); ++i)
      outgoing.add_host("best/parameters/" + views[i].name, views[i], best.parameters[i]);
    outgoing.add_host("best/user_embeddings", best.users);
    outgoing.add_host("best/item_embeddings", best.items);
  }
  write_safetensors(
      file, outgoing.arrays(),
      {{"format", checkpoint_format}, {"run", identity}, {"state", to_json(state, program).dump()}});
}

void read_checkpoint(const fs::path& path, const std::string& identity, Model& model, TrainingState& state,
                     BestModel& best) {
  const Safetensors file = Safetensors::read(path);
  check_origin(file, path, identity);
  if (file.metadata().at("format") != checkpoint_format || file.metadata().count("state") == 0)
    foreign(path, "it holds no state to go on from");
  Program& program = model.program;
  const std::vector<ParameterView> views = program.parameters();
  const auto restore = [&](const std::string& name, float* array, std::int64_t rows, std::int64_t columns) {
    restore_array(file, path, name, program.backend(), array, rows, columns);
  };
  for (const Part& part : parts) {
    for (const ParameterView& view : views)
      restore(part.prefix + view.name, view.*part.array, view.rows, view.columns);
  }
  for (const StateView& array : program.states())
    restore("states/" + array.name, array.value, array.rows, array.columns);
  restore_state(file.metadata().at("state"), path, model, state);
  if (state.stopping.best_epoch() < 0) return;
  best.parameters.clear();
  for (const ParameterView& view : views) {
    const std::string name = "best/parameters/" + view.name;
    check_shape(file, path, name, view.rows, view.columns);
    best.parameters.push_back(file.floats(name));
  }
  best.users = read_matrix(file, path, "best/user_embeddings", model.users.rows, model.users.columns);
  best.items = read_matrix(file, path, "best/item_embeddings", model.items.rows, model.items.columns);
}

void write_best(const fs::path& file, const std::string& identity, const Model& model,
                const TrainingState& state, const BestModel& best) {
  OutgoingArrays outgoing(model.program.backend());
  const std::vector<ParameterView> views = model.program.parameters();
  for (std::size_t i = 0; i < views.size(); ++i)
    outgoing.add_host(views[i].name, views[i], best.parameters[i]);
  outgoing.add_host("user_embeddings", best.users);
  outgoing.add_host("item_embeddings", best.items);
  write_safetensors(
      file, outgoing.arrays(),
      {{"format", best_format}, {"run", identity}, {"epoch", std::to_string(state.stopping.best_epoch())}});
}

void read_best(const fs::path& path, const std::string& identity, Model& model) {
  const Safetensors file = Safetensors::read(path);
  check_origin(file, path, identity);
  for (const ParameterView& view : model.program.parameters())
    restore_array(file, path, view.name, model.program.backend(), view.value, view.rows, view.columns);
}

Safetensors read_arrays(const fs::path& path, const std::string& identity) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    throw Error(fmt::format("{}: is not there yet; the run has not been trained that far", path.string()));
  }
  Safetensors file = Safetensors::read(path);
  check_origin(file, path, identity);
  return file;
}

Representations read_representations(const fs::path& path, const std::string& identity,
                                     const Scorer& scorer) {
  const Safetensors file = read_arrays(path, identity);
  for (const char* name : {"user_embeddings", "item_embeddings"}) {
    if (!file.contains(name) || file.shape(name).size() != 2) foreign(path, "it has no representations");
  }
  const std::int64_t users = file.shape("user_embeddings")[0], width = file.shape("user_embeddings")[1];
  return {
      read_matrix(file, path, "user_embeddings", users, width),
      read_matrix(file, path, "item_embeddings", file.shape("item_embeddings")[0], scorer.item_width(width))};
}

}  // namespace sea
