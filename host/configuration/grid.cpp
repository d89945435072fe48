#include "configuration/grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "configuration/registry.hpp"
#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

using Json = nlohmann::ordered_json;

/// More runs than this are a slip of the finger.
constexpr std::int64_t most_combinations = 10'000;

std::string joined(const std::vector<KeyValue>& values) {
  std::string text;
  for (const KeyValue& value : values) text += (text.empty() ? "" : ",") + to_text(value);
  return text;
}

/// What a search cannot be over.
void check_searchable(const std::string& name, const ModelDescription& model, const std::string& source) {
  const auto refuse = [&](const std::string& why) { throw UsageError(fmt::format("{}: {}", source, why)); };
  if (name == "model") refuse("the model is named by --model; a search is over the keys of one");
  if (name == "valid_metric") refuse("valid_metric is what runs are compared by; all need the same");
  if (name == "device" || name == "threads") refuse(fmt::format("{0} is given by --{0}, for all runs", name));
  const auto key =
      std::find_if(model.keys.begin(), model.keys.end(), [&](const Key& k) { return k.name == name; });
  if (key != model.keys.end() && key->kind == KeyKind::cutoffs)
    refuse(fmt::format("{} is a list, whose commas would part the values; set it by --set", name));
}

}  // namespace

Grid::Grid(const std::vector<std::string>& texts, const ModelDescription& model) {
  for (const std::string& text : texts) add(text, model);
  std::int64_t combinations = 1;
  for (const Axis& axis : axes_) {
    combinations *= static_cast<std::int64_t>(axis.values.size());
    if (combinations > most_combinations)
      throw UsageError(fmt::format("--grid: there are more than {} combinations", most_combinations));
  }
}

Grid::Grid(const Json& json, const ModelDescription& model, const std::string& source) {
  try {
    std::vector<std::string> texts;
    for (const auto& [key, values] : json.items()) {
      std::string text = key + "=";
      for (const Json& value : values) {
        if (text.back() != '=') text += ',';
        text += value.is_string() ? value.get<std::string>() : value.dump();
      }
      texts.push_back(text);
    }
    *this = Grid(texts, model);
  } catch (const std::exception& error) {
    throw Error(
        fmt::format("{}: is damaged; its grid cannot be read: {}", source, printable(error.what(), 200)));
  }
}

void Grid::add(const std::string& text, const ModelDescription& model) {
  const std::string source = fmt::format("--grid {}", text);
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw UsageError(fmt::format("{}: is not of the form key=value,value,...", source));
  Axis axis{text.substr(0, equals), {}};
  check_searchable(axis.key, model, source);
  for (const Axis& before : axes_) {
    if (before.key == axis.key) throw UsageError(fmt::format("{}: {} stands twice", source, axis.key));
  }
  Configuration checked(model);
  for (const std::string& value : split_at_commas(text.substr(equals + 1))) {
    checked.set_text(axis.key, value, source);  // an unknown key is refused first
    axis.values.push_back(checked.value(axis.key));
    if (std::find(axis.values.begin(), axis.values.end() - 1, axis.values.back()) != axis.values.end() - 1)
      throw UsageError(fmt::format("{}: {} stands twice", source, to_text(axis.values.back())));
  }
  axes_.push_back(std::move(axis));
}

std::int64_t Grid::size() const {
  std::int64_t combinations = 1;
  for (const Axis& axis : axes_) combinations *= static_cast<std::int64_t>(axis.values.size());
  return combinations;
}

std::vector<KeyValue> Grid::combination(std::int64_t number) const {
  std::vector<KeyValue> values(axes_.size());
  for (std::size_t i = axes_.size(); i-- > 0;) {
    const auto count = static_cast<std::int64_t>(axes_[i].values.size());
    values[i] = axes_[i].values[static_cast<std::size_t>(number % count)];
    number /= count;
  }
  return values;
}

Json to_json(const Grid& grid) {
  Json json = Json::object();
  for (const Grid::Axis& axis : grid.axes()) {
    for (const KeyValue& value : axis.values) json[axis.key].push_back(to_json(value));
  }
  return json;
}

std::string to_text(const Grid& grid) {
  std::string text;
  for (const Grid::Axis& axis : grid.axes())
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", axis.key, joined(axis.values));
  return text;
}

}  // namespace sea
