#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sea {

/// The value of a configuration key: nothing (null), a whole number, a number, a text, whole numbers, or
/// numbers.
using KeyValue = std::variant<std::monostate, std::int64_t, double, std::string, std::vector<std::int64_t>,
                              std::vector<double>>;

enum class KeyKind { integer, number, choice, file, metric, cutoffs, schedule, device };

/// One configuration key. Parsing, validation, `sea models`, config.json and docs/configuration.md all follow
/// from the list of them.
struct Key {
  std::string name;
  std::string meaning;  ///< one line
  KeyKind kind = KeyKind::integer;
  KeyValue fallback;         ///< its value where nobody sets it
  std::string follows = {};  ///< where not empty: the key whose value is the fallback
  double minimum = 0.0;      ///< integers and numbers: both ends are allowed
  double maximum = 0.0;
  std::vector<std::string> choices = {};  ///< choices: in lower case

  /// What is allowed, to be put after "must be": "a whole number from 1 to 64".
  std::string allowed() const;
  /// The default for people: "0.0001", "learning_rate", "[5, 10]".
  std::string fallback_text() const;
};

Key integer_key(std::string name, std::int64_t fallback, std::int64_t minimum, std::int64_t maximum,
                std::string meaning);
Key number_key(std::string name, double fallback, double minimum, double maximum, std::string meaning);
Key choice_key(std::string name, std::string fallback, std::vector<std::string> choices, std::string meaning);
/// The name of a file in the data folder, or null.
Key file_key(std::string name, std::string fallback, std::string meaning);

/// "0.1", "[5, 10]", "null".
std::string to_text(const KeyValue& value);

/// The value that `text` means for `key`. `source` says where it comes from, for the message of the
/// UsageError that is thrown where it is not allowed: "--set knn_k=0".
KeyValue parse_value(const Key& key, std::string_view text, const std::string& source);

/// The same for a value that has a type already; what it returns is in the key's own spelling ("Recall@20").
KeyValue check_value(const Key& key, const KeyValue& value, const std::string& source);

/// Throws the UsageError of a value that `key` cannot have.
[[noreturn]] void refuse_value(const Key& key, std::string_view value, const std::string& source);

std::string to_lower(std::string_view text);
/// "a,b" as a and b; an empty text is one empty part.
std::vector<std::string> split_at_commas(const std::string& text);
/// Those of `names`, three at most, that somebody may have meant by `name`, case aside: those that the fewest
/// edits make of it, where these are few; else those that have all its words (batch_size: train_batch_size);
/// else those whose words begin with its letters (lr: learning_rate). Often none.
std::vector<std::string> similar_names(std::string_view name, const std::vector<std::string>& names);
/// "; did you mean a, b or c?" of the names that are similar, empty where none is.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& names);

}  // namespace sea
