#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "configuration/configuration.hpp"
#include "configuration/key.hpp"

namespace sea {

/// The values of some keys that a search tries: every one of a key with every one of the others, or so many
/// drawn of them.
class SearchSpace {
 public:
  /// `choices`: "key=v1,v2,...", a text a key; `ranges`: "key=low:high" or "key=low:high:log". Throws
  /// UsageError, beginning with "--grid TEXT" or "--range TEXT", where a key is unknown, stands twice or
  /// cannot be searched (lists, `valid_metric`, `device`, `threads`), where a value is missing, not allowed
  /// or stands twice, and where a range is none or not of numbers.
  SearchSpace(const std::vector<std::string>& choices, const std::vector<std::string>& ranges,
              const ModelDescription& model);
  /// Of choices_json and ranges_json. Throws Error, beginning with `source`, where they are none of `model`.
  SearchSpace(const nlohmann::ordered_json& choices, const nlohmann::ordered_json& ranges,
              const ModelDescription& model, const std::string& source);

  /// Both ends belong to it; a logarithmic one begins above 0.
  struct Range {
    double low = 0.0, high = 0.0;
    bool logarithmic = false;
    bool whole = false;  ///< of a key of whole numbers
    bool operator==(const Range&) const = default;
  };
  struct Axis {
    std::string key;
    std::vector<KeyValue> choices;  ///< empty where there is a range
    std::optional<Range> range = {};
    bool operator==(const Axis&) const = default;
  };
  /// Those of choices first.
  const std::vector<Axis>& axes() const { return axes_; }
  bool has_ranges() const;

  /// Combinations; nothing where a range of numbers makes them as good as endless.
  std::optional<std::int64_t> size() const;
  /// The values of a combination, one an axis; the last axis changes fastest. 0 <= number < size; no ranges.
  std::vector<KeyValue> combination(std::int64_t number) const;
  /// The first `count` of the combinations that `seed` draws, each another: choices with equal probability,
  /// ranges uniformly, logarithmic ones uniformly in the logarithm, numbers rounded to four digits. A larger
  /// `count` begins with the same. Throws UsageError where there are fewer.
  std::vector<std::vector<KeyValue>> draw(std::int64_t count, std::uint64_t seed) const;

  bool operator==(const SearchSpace&) const = default;

 private:
  void add_choices(const std::string& text, const ModelDescription& model);
  void add_range(const std::string& text, const ModelDescription& model);
  void check_new(const std::string& key, const ModelDescription& model, const std::string& source) const;

  std::vector<Axis> axes_;
};

/// More runs than this are a slip of the finger.
inline constexpr std::int64_t most_combinations = 10'000;

/// {"alpha": [0.01, 0.1], ...}
nlohmann::ordered_json choices_json(const SearchSpace& space);
/// {"learning_rate": {"low": 0.0001, "high": 0.01, "log": true}, ...}
nlohmann::ordered_json ranges_json(const SearchSpace& space);
/// "alpha=0.01,0.1 learning_rate=0.0001:0.01:log"
std::string to_text(const SearchSpace& space);

}  // namespace sea
