#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sea {

/// A field of a .tsv, by the rules of CSV: in quotes, doubled inside, where it holds a quote or what would
/// end it.
std::string tsv_field(const std::string& text);

/// The names of some numbers as an array of NumPy's byte strings, which are of equal length; empty for a
/// number below 0.
struct ByteStrings {
  std::size_t length = 1;
  std::vector<char> bytes;

  ByteStrings(const std::vector<std::string>& names, const std::vector<std::int64_t>& numbers);
  std::string type() const { return "|S" + std::to_string(length); }
};

/// Whether a result goes to stdout: it has no file, or "-".
bool is_stdout(const std::optional<std::filesystem::path>& output);
/// The ending of a file in lower case.
std::string ending_of(const std::filesystem::path& file);

/// A cell of a table; a list stands in a .tsv with commas.
using Cell = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>>;
using Row = std::vector<Cell>;

/// Writes the rows that `source` produces to `output`: as .jsonl where it ends so, else as .tsv with a
/// header, to stdout where it is nothing or "-". A file appears whole or not at all.
void write_table(const std::optional<std::filesystem::path>& output, const std::vector<std::string>& columns,
                 const std::function<void(const std::function<void(const Row&)>&)>& source);

}  // namespace sea
