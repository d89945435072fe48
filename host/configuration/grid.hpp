#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "configuration/configuration.hpp"
#include "configuration/key.hpp"

namespace sea {

/// The values of some keys that a search tries: every one of a key with every one of the others.
class Grid {
 public:
  /// "key=v1,v2,...", a text a key. Throws UsageError, beginning with "--grid TEXT", where a key is unknown,
  /// stands twice or cannot be searched (lists, `valid_metric`, `device`, `threads`), and where a value is
  /// missing, not allowed or stands twice.
  Grid(const std::vector<std::string>& texts, const ModelDescription& model);
  /// Of to_json. Throws Error, beginning with `source`, where `json` is no grid of `model`.
  Grid(const nlohmann::ordered_json& json, const ModelDescription& model, const std::string& source);

  struct Axis {
    std::string key;
    std::vector<KeyValue> values;
    bool operator==(const Axis&) const = default;
  };
  const std::vector<Axis>& axes() const { return axes_; }

  /// Combinations; at least 1 and at most 10,000.
  std::int64_t size() const;
  /// The values of a combination, one an axis; the last axis changes fastest. 0 <= number < size.
  std::vector<KeyValue> combination(std::int64_t number) const;

  bool operator==(const Grid&) const = default;

 private:
  void add(const std::string& text, const ModelDescription& model);

  std::vector<Axis> axes_;
};

/// {"alpha": [0.01, 0.1], ...}
nlohmann::ordered_json to_json(const Grid& grid);
/// "alpha=0.01,0.1 beta=1,2"
std::string to_text(const Grid& grid);

}  // namespace sea
