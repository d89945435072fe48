#include "configuration/key.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "configuration/metric_name.hpp"
#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// Lists of cut-offs, and cut-offs themselves, beyond this are a slip of the finger.
constexpr std::int64_t most_cutoffs = 100;
constexpr std::int64_t largest_cutoff = 1'000'000'000;

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// "5,10" or "[5, 10]".
template <class T>
std::optional<std::vector<T>> parse_list(std::string_view text) {
  text = trimmed(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  std::vector<T> values;
  while (true) {
    const std::size_t comma = text.find(',');
    const auto value = parse_whole<T>(trimmed(text.substr(0, comma)));
    if (!value) return {};
    values.push_back(*value);
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

bool is_device(std::string_view text) {
  if (text == "auto" || text == "cpu" || text == "cuda") return true;
  if (text.substr(0, 5) != "cuda:") return false;
  const auto number = parse_whole<std::int64_t>(text.substr(5));
  return number && *number >= 0 && *number < 1024;
}

/// How many letters must be put in, left out, changed, or swapped with the next one, to make `b` of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows i - 2, i - 1 and i of the table.
  std::vector<std::size_t> before, last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({row[j - 1] + 1, last[j] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

/// "train_batch_size" as train, batch and size; dashes part words as well.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (c != '_' && c != '-') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = text.find(',', begin);
    parts.push_back(text.substr(begin, comma - begin));
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

std::string to_text(const KeyValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value))
    return fmt::format("[{}]", fmt::join(*list, ", "));
  if (const auto* list = std::get_if<std::vector<double>>(&value))
    return fmt::format("[{}]", fmt::join(*list, ", "));
  return "null";
}

std::string Key::allowed() const {
  switch (kind) {
    case KeyKind::integer:
      return fmt::format("a whole number from {} to {}", static_cast<std::int64_t>(minimum),
                         static_cast<std::int64_t>(maximum));
    case KeyKind::number:
      return fmt::format("a number from {} to {}", minimum, maximum);
    case KeyKind::choice:
      return fmt::format("one of {}", fmt::join(choices, ", "));
    case KeyKind::file:
      return "the name of a .npy file in the data folder, or null";
    case KeyKind::metric:
      return fmt::format("a metric ({}) at a cut-off, as in Recall@20",
                         fmt::join(metric_titles.begin(), metric_titles.begin() + training_metrics, ", "));
    case KeyKind::cutoffs:
      return fmt::format("1 to {} whole numbers from 1 to {}, as in 5,10,20", most_cutoffs, largest_cutoff);
    case KeyKind::schedule:
      return "two numbers, a factor above 0 and up to 1 and the epochs that it takes, from 1e-3 on, as in "
             "0.96,50";
    case KeyKind::device:
      return "auto, cpu, cuda or cuda:N";
  }
  return "";
}

std::string Key::fallback_text() const {
  return follows.empty() ? to_text(fallback) : follows;
}

Key integer_key(std::string name, std::int64_t fallback, std::int64_t minimum, std::int64_t maximum,
                std::string meaning) {
  Key key{std::move(name), std::move(meaning), KeyKind::integer, fallback};
  key.minimum = static_cast<double>(minimum);
  key.maximum = static_cast<double>(maximum);
  return key;
}

Key number_key(std::string name, double fallback, double minimum, double maximum, std::string meaning) {
  Key key{std::move(name), std::move(meaning), KeyKind::number, fallback};
  key.minimum = minimum;
  key.maximum = maximum;
  return key;
}

Key choice_key(std::string name, std::string fallback, std::vector<std::string> choices,
               std::string meaning) {
  Key key{std::move(name), std::move(meaning), KeyKind::choice, std::move(fallback)};
  key.choices = std::move(choices);
  return key;
}

Key file_key(std::string name, std::string fallback, std::string meaning) {
  return {std::move(name), std::move(meaning), KeyKind::file, std::move(fallback)};
}

void refuse_value(const Key& key, std::string_view value, const std::string& source) {
  throw UsageError(
      fmt::format("{}: {} is '{}'; it must be {}", source, key.name, printable(value), key.allowed()));
}

namespace {

/// `shown` is the value as whoever gave it wrote it.
KeyValue checked(const Key& key, const KeyValue& value, std::string_view shown, const std::string& source) {
  const auto refuse = [&] { refuse_value(key, shown, source); };
  switch (key.kind) {
    case KeyKind::integer: {
      const auto* integer = std::get_if<std::int64_t>(&value);
      if (integer == nullptr || *integer < static_cast<std::int64_t>(key.minimum) ||
          *integer > static_cast<std::int64_t>(key.maximum))
        refuse();
      return value;
    }
    case KeyKind::number: {
      const auto* integer = std::get_if<std::int64_t>(&value);
      const auto* given = std::get_if<double>(&value);
      if (integer == nullptr && given == nullptr) refuse();
      const double number = given != nullptr ? *given : static_cast<double>(*integer);
      if (!(number >= key.minimum && number <= key.maximum)) refuse();
      return number;
    }
    case KeyKind::choice: {
      const auto* text = std::get_if<std::string>(&value);
      if (text == nullptr) refuse();
      std::string lower = to_lower(*text);
      if (std::find(key.choices.begin(), key.choices.end(), lower) == key.choices.end()) refuse();
      return lower;
    }
    case KeyKind::file: {
      if (std::holds_alternative<std::monostate>(value)) return value;
      const auto* text = std::get_if<std::string>(&value);
      if (text == nullptr || text->empty()) refuse();
      return value;
    }
    case KeyKind::metric: {
      const auto* text = std::get_if<std::string>(&value);
      const std::optional<MetricName> metric = text != nullptr ? parse_metric(*text) : std::nullopt;
      if (!metric || metric->metric >= training_metrics || metric->cutoff > largest_cutoff) refuse();
      return metric->title();
    }
    case KeyKind::cutoffs: {
      std::vector<std::int64_t> list;
      if (const auto* integer = std::get_if<std::int64_t>(&value)) list = {*integer};
      if (const auto* given = std::get_if<std::vector<std::int64_t>>(&value)) list = *given;
      const auto allowed = [](std::int64_t k) { return k >= 1 && k <= largest_cutoff; };
      if (list.empty() || static_cast<std::int64_t>(list.size()) > most_cutoffs ||
          !std::all_of(list.begin(), list.end(), allowed))
        refuse();
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
      return list;
    }
    case KeyKind::schedule: {
      std::vector<double> list;
      if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value))
        list.assign(integers->begin(), integers->end());
      if (const auto* given = std::get_if<std::vector<double>>(&value)) list = *given;
      if (list.size() != 2 || !(list[0] > 0.0 && list[0] <= 1.0 && list[1] >= 1e-3 && list[1] <= 1e9))
        refuse();
      return list;
    }
    case KeyKind::device: {
      const auto* text = std::get_if<std::string>(&value);
      if (text == nullptr || !is_device(to_lower(*text))) refuse();
      return to_lower(*text);
    }
  }
  return value;
}

}  // namespace

KeyValue check_value(const Key& key, const KeyValue& value, const std::string& source) {
  return checked(key, value, to_text(value), source);
}

KeyValue parse_value(const Key& key, std::string_view text, const std::string& source) {
  KeyValue value = std::string(text);
  if (key.kind == KeyKind::integer) {
    const auto integer = parse_whole<std::int64_t>(text);
    if (integer) value = *integer;
  } else if (key.kind == KeyKind::number) {
    const auto number = parse_whole<double>(text);
    if (number) value = *number;
  } else if (key.kind == KeyKind::cutoffs) {
    const auto list = parse_list<std::int64_t>(text);
    if (list) value = *list;
  } else if (key.kind == KeyKind::schedule) {
    const auto list = parse_list<double>(text);
    if (list) value = *list;
  } else if (key.kind == KeyKind::file && to_lower(text) == "null") {
    value = std::monostate();
  }
  return checked(key, value, text, source);
}

std::vector<std::string> similar_names(std::string_view name, const std::vector<std::string>& names) {
  constexpr std::size_t most = 3;
  const std::string wanted = to_lower(name);
  const std::vector<std::string> wanted_words = words_of(wanted);
  std::size_t fewest = std::max<std::size_t>(1, wanted.size() / 3);
  std::vector<std::string> near, of_its_words, of_its_letters;
  const auto keep = [](std::vector<std::string>& list, const std::string& found) {
    if (list.size() < most) list.push_back(found);
  };
  for (const std::string& candidate : names) {
    const std::string other = to_lower(candidate);
    const std::size_t edits = edit_distance(wanted, other);
    if (edits < fewest) near.clear();
    if (edits <= fewest) keep(near, candidate);
    fewest = std::min(fewest, edits);
    const std::vector<std::string> words = words_of(other);
    if (std::all_of(wanted_words.begin(), wanted_words.end(), [&](const std::string& word) {
          return std::find(words.begin(), words.end(), word) != words.end();
        }))
      keep(of_its_words, candidate);
    std::string initials;
    for (const std::string& word : words) initials += word.substr(0, 1);
    if (initials.size() > 1 && initials == wanted) keep(of_its_letters, candidate);
  }
  return !near.empty() ? near : !of_its_words.empty() ? of_its_words : of_its_letters;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& names) {
  const std::vector<std::string> similar = similar_names(name, names);
  std::string text;
  for (std::size_t i = 0; i < similar.size(); ++i)
    text += (i == 0 ? "; did you mean " : i + 1 == similar.size() ? " or " : ", ") + similar[i];
  return text.empty() ? text : text + "?";
}

}  // namespace sea
