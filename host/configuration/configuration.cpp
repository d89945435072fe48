#include "configuration/configuration.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "configuration/registry.hpp"
#include "data/file_bytes.hpp"
#include "data/json_text.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

using Json = nlohmann::ordered_json;

/// What config.json of a run holds beside the keys.
constexpr const char* run_keys[] = {"model",           "data",   "fingerprint", "interactions_fingerprint",
                                    "ids_fingerprint", "version"};

bool is_run_key(const std::string& name) {
  return std::find(std::begin(run_keys), std::end(run_keys), name) != std::end(run_keys);
}

/// A value of a JSON file; what no key can be is refused for `key`.
KeyValue value_of(const Json& json, const Key& key, const std::string& source) {
  if (json.is_null()) return std::monostate();
  if (json.is_string()) return json.get<std::string>();
  const auto fits = [](const Json& number) {
    return number.is_number_integer() &&
           !(number.is_number_unsigned() && number.get<std::uint64_t>() > std::uint64_t{INT64_MAX});
  };
  if (fits(json)) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_array() && std::all_of(json.begin(), json.end(), fits))
    return json.get<std::vector<std::int64_t>>();
  if (json.is_array() && std::all_of(json.begin(), json.end(), [](const Json& v) { return v.is_number(); }))
    return json.get<std::vector<double>>();
  refuse_value(key, json.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60), source);
}

void apply(const Preset* preset, Configuration& configuration, const std::string& source) {
  if (preset == nullptr) return;
  for (const auto& [key, value] : preset->values) configuration.set(key, value, source);
}

void apply_json(const Json& json, Configuration& configuration, const std::string& source) {
  for (const auto& [name, value] : json.items()) {
    if (is_run_key(name)) continue;
    const auto& keys = configuration.model().keys;
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&wanted = name](const Key& k) { return k.name == wanted; });
    // An unknown name is refused with the nearest known one before its value is looked at.
    configuration.set(name, key == keys.end() ? KeyValue() : value_of(value, *key, source), source);
  }
}

/// The model a JSON file names, if it does.
std::optional<std::string> model_in(const Json& json, const std::string& source) {
  if (!json.contains("model")) return {};
  if (!json["model"].is_string())
    throw UsageError(fmt::format("{}: model is not the name of a model", source));
  return json["model"].get<std::string>();
}

}  // namespace

Configuration::Configuration(const ModelDescription& model) : model_(&model) {}

const Key& Configuration::find(const std::string& name, const std::string& source) const {
  std::vector<std::string> names;
  for (const Key& key : model_->keys) {
    if (key.name == name) return key;
    names.push_back(key.name);
  }
  const std::string wanted = name.substr(0, 80);
  std::string hint;
  for (const ModelDescription& other : models()) {
    if (std::any_of(other.keys.begin(), other.keys.end(), [&](const Key& key) { return key.name == name; }))
      hint += (hint.empty() ? "; it is a key of " : ", ") + other.name;
  }
  if (hint.empty()) hint = did_you_mean(wanted, names);
  if (hint.empty()) hint = "; sea models lists the keys";
  throw UsageError(fmt::format("{}: there is no key '{}' of the model {}{}", source, printable(wanted),
                               model_->name, hint));
}

bool Configuration::has(const std::string& name) const {
  return std::any_of(model_->keys.begin(), model_->keys.end(),
                     [&](const Key& key) { return key.name == name; });
}

void Configuration::set(const std::string& name, const KeyValue& value, const std::string& source) {
  values_[name] = check_value(find(name, source), value, source);
}

void Configuration::set_text(const std::string& name, std::string_view text, const std::string& source) {
  values_[name] = parse_value(find(name, source), text, source);
}

KeyValue Configuration::value(const std::string& name) const {
  const Key& key = find(name, "configuration");
  const auto found = values_.find(name);
  return found != values_.end() ? found->second : fallback(key);
}

std::int64_t Configuration::integer(const std::string& name) const {
  return std::get<std::int64_t>(value(name));
}

double Configuration::number(const std::string& name) const {
  return std::get<double>(value(name));
}

std::string Configuration::text(const std::string& name) const {
  return std::get<std::string>(value(name));
}

std::vector<std::int64_t> Configuration::cutoffs(const std::string& name) const {
  return std::get<std::vector<std::int64_t>>(value(name));
}

std::vector<double> Configuration::numbers(const std::string& name) const {
  return std::get<std::vector<double>>(value(name));
}

std::optional<std::string> Configuration::file(const std::string& name) const {
  const KeyValue found = value(name);
  if (const auto* text = std::get_if<std::string>(&found)) return *text;
  return {};
}

Configuration resolve_configuration(const ConfigurationRequest& request, const Configuration* base) {
  const std::string config_source =
      request.config ? fmt::format("--config {}", request.config->string()) : "";
  const Json json = request.config ? read_json_object(*request.config, config_source) : Json::object();
  const std::optional<std::string> config_model = model_in(json, config_source);
  const std::string model_source = "--model";

  ModelChoice chosen{base != nullptr ? &base->model() : &models().front(), nullptr};
  ModelChoice from_config;
  if (config_model) chosen = from_config = find_model(*config_model, config_source);
  if (request.model) chosen = find_model(*request.model, model_source);
  if (base != nullptr && chosen.model != &base->model()) {
    throw UsageError(fmt::format("{}: the run's model is {}; it cannot go on as {}",
                                 request.model ? model_source : config_source, base->model().name,
                                 chosen.model->name));
  }

  Configuration configuration = base != nullptr ? *base : Configuration(*chosen.model);
  // A file that was written for another model than the one asked for is refused by its keys, if at all.
  if (from_config.model == chosen.model) apply(from_config.preset, configuration, config_source);
  apply_json(json, configuration, config_source);
  if (request.model) apply(chosen.preset, configuration, model_source);
  for (const std::string& assignment : request.assignments) {
    const std::string source = fmt::format("--set {}", assignment);
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UsageError(fmt::format("{}: is not of the form key=value", source));
    const std::string name = assignment.substr(0, equals);
    if (name == "model") throw UsageError(fmt::format("{}: the model is named by --model", source));
    configuration.set_text(name, std::string_view(assignment).substr(equals + 1), source);
  }
  const auto option = [&](const char* name, const std::optional<std::string>& text) {
    if (text) configuration.set_text(name, *text, fmt::format("--{} {}", name, *text));
  };
  option("seed", request.seed);
  option("epochs", request.epochs);
  option("device", request.device);
  option("threads", request.threads);

  const bool stops_early = may_stop_early(configuration);
  if (!stops_early && !configuration.is_set("epochs")) {
    const char* key = configuration.text("train_on") == "train" ? "early_stopping" : "train_on";
    throw UsageError(
        fmt::format("{} is {}, which trains without early stopping: epochs must be given, as in "
                    "--epochs 50",
                    key, configuration.text(key)));
  }
  if (stops_early && configuration.integer("eval_step") > configuration.integer("epochs")) {
    throw UsageError(fmt::format("eval_step is {}, more than epochs, {}: the model would never be evaluated",
                                 configuration.integer("eval_step"), configuration.integer("epochs")));
  }
  configuration.model().check(configuration);
  return configuration;
}

const ModelDescription& model_of(const ConfigurationRequest& request) {
  std::optional<std::string> name = request.model;
  std::string source = "--model";
  if (!name && request.config) {
    source = fmt::format("--config {}", request.config->string());
    name = model_in(read_json_object(*request.config, source), source);
  }
  return name ? *find_model(*name, source).model : models().front();
}

Configuration resume_configuration(const ConfigurationRequest& request, const Configuration& before,
                                   const std::filesystem::path& folder,
                                   const std::vector<std::string>& may_change) {
  const Configuration now = resolve_configuration(request, &before);
  for (const Key& key : now.model().keys) {
    if (std::find(may_change.begin(), may_change.end(), key.name) != may_change.end()) continue;
    const KeyValue old_value = before.value(key.name), new_value = now.value(key.name);
    if (old_value == new_value) continue;
    throw UsageError(fmt::format("--resume: {} was {} in {} and would be {}; only {} and {} may change",
                                 key.name, to_text(old_value), folder.string(), to_text(new_value),
                                 fmt::join(may_change.begin(), may_change.end() - 1, ", "),
                                 may_change.back()));
  }
  return now;
}

std::vector<std::string> assignments_of(const Configuration& configuration) {
  std::vector<std::string> assignments;
  for (const Key& key : configuration.model().keys) {
    const KeyValue value = configuration.value(key.name);
    const bool needed = key.name == "epochs" && !may_stop_early(configuration);
    if (needed || value != configuration.fallback(key))
      assignments.push_back(fmt::format("{}={}", key.name, to_text(value)));
  }
  return assignments;
}

bool may_stop_early(const Configuration& configuration) {
  return configuration.text("early_stopping") == "auto" && configuration.text("train_on") == "train";
}

Json to_json(const KeyValue& value) {
  return std::visit(
      [](const auto& held) {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>) {
          return Json();
        } else {
          return Json(held);
        }
      },
      value);
}

Json to_json(const Configuration& configuration) {
  Json json;
  json["model"] = configuration.model().name;
  for (const Key& key : configuration.model().keys) json[key.name] = to_json(configuration.value(key.name));
  return json;
}

Json read_json_object(const std::filesystem::path& file, const std::string& source) {
  std::ifstream in(file, std::ios::binary);
  std::error_code ignored;
  if (!in || std::filesystem::is_directory(file, ignored))
    throw UsageError(fmt::format("{}: there is no such file, or it cannot be read", source));
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return parse_json_object(text, source);
}

Json parse_json_object(std::string_view text, const std::string& source) {
  try {
    Json json = parse_json<Json>(text, true, true);
    if (json.is_discarded())
      throw UsageError(fmt::format("{}: nests brackets more than {} deep", source, deepest_json));
    if (!json.is_object()) throw UsageError(fmt::format("{}: is not a JSON object", source));
    return json;
  } catch (const Json::parse_error& error) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size()));
    throw UsageError(fmt::format("{}: is not JSON; line {} is the first that cannot be read", source,
                                 1 + std::count(text.begin(), end == text.begin() ? end : end - 1, '\n')));
  } catch (const Json::exception&) {
    throw UsageError(fmt::format("{}: holds a number that is too large", source));
  }
}

Configuration configuration_of(const Json& json, const std::string& source) {
  const ModelChoice chosen = find_model(model_in(json, source).value_or("sea"), source);
  Configuration configuration(*chosen.model);
  apply(chosen.preset, configuration, source);
  apply_json(json, configuration, source);
  configuration.model().check(configuration);
  return configuration;
}

}  // namespace sea
