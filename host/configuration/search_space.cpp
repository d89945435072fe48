#include "configuration/search_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "configuration/registry.hpp"
#include "data/file_bytes.hpp"
#include "data/random_stream.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

using Json = nlohmann::ordered_json;

/// So many draws in a row that are there already: there are no others.
constexpr int most_attempts = 100'000;

std::string joined(const std::vector<KeyValue>& values) {
  std::string text;
  for (const KeyValue& value : values) text += (text.empty() ? "" : ",") + to_text(value);
  return text;
}

/// "0.0001:0.01:log"
std::string range_text(const SearchSpace::Range& range) {
  return fmt::format("{}:{}{}", range.low, range.high, range.logarithmic ? ":log" : "");
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

double number_of(const KeyValue& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  return integer != nullptr ? static_cast<double>(*integer) : std::get<double>(value);
}

KeyValue draw_from(const SearchSpace::Axis& axis, RandomStream& stream) {
  if (!axis.range) return axis.choices[stream.below(static_cast<std::uint32_t>(axis.choices.size()))];
  const SearchSpace::Range& range = *axis.range;
  const double share = stream.uniform();
  // A whole number stands for the half around it on either side, so that the ends are as likely as others.
  const double half = range.whole ? 0.5 : 0.0, low = range.low - half, high = range.high + half;
  const double drawn = range.logarithmic ? std::exp(std::log(low) + share * (std::log(high) - std::log(low)))
                                         : low + share * (high - low);
  if (range.whole) return static_cast<std::int64_t>(std::clamp(std::round(drawn), range.low, range.high));
  const double rounded = std::strtod(fmt::format("{:.4g}", drawn).c_str(), nullptr);
  return std::clamp(rounded, range.low, range.high);
}

}  // namespace

SearchSpace::SearchSpace(const std::vector<std::string>& choices, const std::vector<std::string>& ranges,
                         const ModelDescription& model) {
  for (const std::string& text : choices) add_choices(text, model);
  for (const std::string& text : ranges) add_range(text, model);
}

SearchSpace::SearchSpace(const Json& choices, const Json& ranges, const ModelDescription& model,
                         const std::string& source) {
  try {
    std::vector<std::string> choice_texts, range_texts;
    for (const auto& [key, values] : choices.items()) {
      std::string text = key + "=";
      for (const Json& value : values) {
        if (text.back() != '=') text += ',';
        text += value.is_string() ? value.get<std::string>() : value.dump();
      }
      choice_texts.push_back(text);
    }
    for (const auto& [key, range] : ranges.items()) {
      const Range read{range.at("low").get<double>(), range.at("high").get<double>(),
                       range.at("log").get<bool>()};
      range_texts.push_back(key + "=" + range_text(read));
    }
    *this = SearchSpace(choice_texts, range_texts, model);
  } catch (const std::exception& error) {
    throw Error(
        fmt::format("{}: is damaged; its grid cannot be read: {}", source, printable(error.what(), 200)));
  }
}

void SearchSpace::check_new(const std::string& key, const ModelDescription& model,
                            const std::string& source) const {
  check_searchable(key, model, source);
  for (const Axis& before : axes_) {
    if (before.key == key) throw UsageError(fmt::format("{}: {} stands twice", source, key));
  }
}

void SearchSpace::add_choices(const std::string& text, const ModelDescription& model) {
  const std::string source = fmt::format("--grid {}", text);
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw UsageError(fmt::format("{}: is not of the form key=value,value,...", source));
  Axis axis{text.substr(0, equals), {}};
  check_new(axis.key, model, source);
  Configuration checked(model);
  for (const std::string& value : split_at_commas(text.substr(equals + 1))) {
    checked.set_text(axis.key, value, source);  // an unknown key is refused first
    axis.choices.push_back(checked.value(axis.key));
    if (std::find(axis.choices.begin(), axis.choices.end() - 1, axis.choices.back()) !=
        axis.choices.end() - 1)
      throw UsageError(fmt::format("{}: {} stands twice", source, to_text(axis.choices.back())));
  }
  axes_.push_back(std::move(axis));
}

void SearchSpace::add_range(const std::string& text, const ModelDescription& model) {
  const std::string source = fmt::format("--range {}", text);
  const auto refuse = [&](const std::string& why) { throw UsageError(fmt::format("{}: {}", source, why)); };
  const std::size_t equals = text.find('='), colon = text.find(':', equals);
  if (equals == std::string::npos || equals == 0 || colon == std::string::npos)
    refuse("is not of the form key=low:high or key=low:high:log");
  Axis axis{text.substr(0, equals), {}};
  check_new(axis.key, model, source);
  Range range;
  std::string high = text.substr(colon + 1);
  if (const std::size_t second = high.find(':'); second != std::string::npos) {
    if (high.substr(second) != ":log") refuse("is not of the form key=low:high or key=low:high:log");
    range.logarithmic = true;
    high.resize(second);
  }
  Configuration checked(model);
  const auto end_of = [&](const std::string& end) {
    checked.set_text(axis.key, end, source);  // an unknown key is refused first
    const KeyValue value = checked.value(axis.key);
    range.whole = std::holds_alternative<std::int64_t>(value);
    if (!range.whole && !std::holds_alternative<double>(value))
      refuse(fmt::format("{} is no number; --grid names its values", axis.key));
    return number_of(value);
  };
  range.low = end_of(text.substr(equals + 1, colon - equals - 1));
  range.high = end_of(high);
  if (!(range.low < range.high)) refuse("its first number must be below its second");
  if (range.logarithmic && range.low <= 0.0) refuse("a logarithmic range begins above 0");
  axis.range = range;
  axes_.push_back(std::move(axis));
}

bool SearchSpace::has_ranges() const {
  return std::any_of(axes_.begin(), axes_.end(), [](const Axis& axis) { return axis.range.has_value(); });
}

std::optional<std::int64_t> SearchSpace::size() const {
  // A product that leaves the range of whole numbers is as good as endless.
  constexpr double endless = 1e15;
  double combinations = 1.0;
  for (const Axis& axis : axes_) {
    if (axis.range && !axis.range->whole) return {};
    combinations *=
        axis.range ? axis.range->high - axis.range->low + 1.0 : static_cast<double>(axis.choices.size());
    if (combinations > endless) return {};
  }
  return static_cast<std::int64_t>(combinations);
}

std::vector<KeyValue> SearchSpace::combination(std::int64_t number) const {
  std::vector<KeyValue> values(axes_.size());
  for (std::size_t i = axes_.size(); i-- > 0;) {
    const auto count = static_cast<std::int64_t>(axes_[i].choices.size());
    values[i] = axes_[i].choices[static_cast<std::size_t>(number % count)];
    number /= count;
  }
  return values;
}

std::vector<std::vector<KeyValue>> SearchSpace::draw(std::int64_t count, std::uint64_t seed) const {
  const auto refuse = [&](const std::string& how_many) {
    throw UsageError(fmt::format("--random {}: there are only {} combinations", count, how_many));
  };
  if (const std::optional<std::int64_t> all = size(); all && *all < count) refuse(std::to_string(*all));
  std::vector<std::vector<KeyValue>> drawn;
  std::set<std::vector<KeyValue>> seen;
  while (static_cast<std::int64_t>(drawn.size()) < count) {
    RandomStream stream(seed, static_cast<std::int64_t>(drawn.size()));
    for (int attempt = 0;; ++attempt) {
      // Four digits of a narrow range may be fewer numbers than are asked for.
      if (attempt == most_attempts) refuse(fmt::format("about {}", drawn.size()));
      std::vector<KeyValue> values;
      for (const Axis& axis : axes_) values.push_back(draw_from(axis, stream));
      if (!seen.insert(values).second) continue;
      drawn.push_back(std::move(values));
      break;
    }
  }
  return drawn;
}

Json choices_json(const SearchSpace& space) {
  Json json = Json::object();
  for (const SearchSpace::Axis& axis : space.axes()) {
    for (const KeyValue& value : axis.choices) json[axis.key].push_back(to_json(value));
  }
  return json;
}

Json ranges_json(const SearchSpace& space) {
  Json json = Json::object();
  for (const SearchSpace::Axis& axis : space.axes()) {
    if (axis.range)
      json[axis.key] = {
          {"low", axis.range->low}, {"high", axis.range->high}, {"log", axis.range->logarithmic}};
  }
  return json;
}

std::string to_text(const SearchSpace& space) {
  std::string text;
  for (const SearchSpace::Axis& axis : space.axes())
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", axis.key,
                        axis.range ? range_text(*axis.range) : joined(axis.choices));
  return text;
}

}  // namespace sea
