#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "configuration/key.hpp"

namespace sea {

struct ModelDescription;

/// The values of a model's keys. Every value it holds has been checked.
class Configuration {
 public:
  /// All keys of `model` at their defaults. `model` must live as long.
  explicit Configuration(const ModelDescription& model);

  const ModelDescription& model() const { return *model_; }
  /// What `key` is where nobody sets it.
  KeyValue fallback(const Key& key) const { return key.follows.empty() ? key.fallback : value(key.follows); }

  /// Sets a key, or throws a UsageError that begins with `source` and names key, value and what is allowed,
  /// or the nearest known key.
  void set(const std::string& key, const KeyValue& value, const std::string& source);
  void set_text(const std::string& key, std::string_view text, const std::string& source);

  /// Whether the model has such a key.
  bool has(const std::string& key) const;
  /// Whether somebody set it, to its default or to anything else.
  bool is_set(const std::string& key) const { return values_.count(key) != 0; }
  /// What was set, else the default.
  KeyValue value(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;
  std::string text(const std::string& key) const;
  std::vector<std::int64_t> cutoffs(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  /// The name of a file, or nothing for null.
  std::optional<std::string> file(const std::string& key) const;

 private:
  const Key& find(const std::string& key, const std::string& source) const;

  const ModelDescription* model_;
  std::map<std::string, KeyValue> values_;
};

/// Where configuration values come from, in the order in which later ones win; `text` is what the user wrote.
struct ConfigurationRequest {
  std::optional<std::string> model;
  std::optional<std::filesystem::path> config;  ///< JSON, with comments
  std::vector<std::string> assignments;         ///< "key=value" of `--set`
  std::optional<std::string> seed, epochs, device, threads;
};

/// Resolves a request: the model's defaults, `config`, `--set`, then the options of their own. The model is
/// the one named by `request`, else by `config`, else sea; an alias (SEAb) sets its keys where it is named.
/// With `base` those values take the place of the defaults. Throws UsageError that names option, key and
/// value.
Configuration resolve_configuration(const ConfigurationRequest& request, const Configuration* base = nullptr);

/// The model that a request is about, before anything else of it is looked at.
const ModelDescription& model_of(const ConfigurationRequest& request);

/// Resolves a request to go on (--resume) with what `before` began in `folder`. Throws UsageError where any
/// key but those of `may_change` would have another value.
Configuration resume_configuration(const ConfigurationRequest& request, const Configuration& before,
                                   const std::filesystem::path& folder,
                                   const std::vector<std::string>& may_change);

/// The "key=value" that make `configuration` out of its model's defaults; `epochs` where they must be given.
std::vector<std::string> assignments_of(const Configuration& configuration);

/// Whether early stopping may end a training: it is on, and the validation pairs are not trained on.
bool may_stop_early(const Configuration& configuration);

/// Every key with its value, in the order of the model's list, "model" first.
nlohmann::ordered_json to_json(const Configuration& configuration);

nlohmann::ordered_json to_json(const KeyValue& value);

/// Reads a JSON file with comments whose root is an object. Throws UsageError, beginning with `source`.
nlohmann::ordered_json read_json_object(const std::filesystem::path& file, const std::string& source);

/// Likewise of a file's text.
nlohmann::ordered_json parse_json_object(std::string_view text, const std::string& source);

/// The configuration that `json` holds; keys of a run that are no configuration ("data") are passed over.
Configuration configuration_of(const nlohmann::ordered_json& json, const std::string& source);

}  // namespace sea
