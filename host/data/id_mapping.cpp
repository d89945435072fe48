#include "data/id_mapping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

#include "data/file_bytes.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

/// The fields of a line. One that starts with a double quote ends at its partner; two inside stand for one.
std::vector<std::string> split_fields(std::string_view line, char separator) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += c;
      ++i;
    } else if (c == '"' && (quoted || fields.back().empty())) {
      quoted = !quoted;
    } else if (c == separator && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

}  // namespace

std::vector<std::string> read_id_mapping(const fs::path& file, const std::string& number_column,
                                         std::int64_t count, std::vector<std::string>& notices) {
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  const std::vector<char> bytes = read_bytes(file);
  return parse_id_mapping(file, {bytes.data(), bytes.size()}, number_column, count, notices);
}

std::vector<std::string> parse_id_mapping(const fs::path& file, std::string_view text,
                                          const std::string& number_column, std::int64_t count,
                                          std::vector<std::string>& notices) {
  std::string_view rest = text;
  std::int64_t line_number = 0;
  const auto next_line = [&] {
    ++line_number;
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
  };
  const auto fail = [&](const std::string& what) {
    throw Error(fmt::format("{}, line {}: {}", file.string(), line_number, what));
  };

  const std::string_view header = next_line();
  const char separator = header.find('\t') != std::string_view::npos ? '\t' : ',';
  const std::vector<std::string> names = split_fields(header, separator);
  if (names.size() < 2)
    fail(fmt::format(
        "the header '{}' does not name two columns, original id and {}, separated by a tab or comma",
        printable(header), number_column));
  const auto found = std::find(names.begin(), names.end(), number_column);
  const std::size_t number_place = found == names.end() ? 1 : static_cast<std::size_t>(found - names.begin());
  const std::size_t original_place = number_place == 0 ? 1 : 0;

  std::vector<std::string> originals(static_cast<std::size_t>(count));
  std::vector<bool> seen(originals.size());
  while (!rest.empty()) {
    const std::string_view line = next_line();
    if (line.empty()) continue;
    const std::vector<std::string> fields = split_fields(line, separator);
    if (fields.size() != names.size())
      fail(fmt::format("{} where the header names {}",
                       counted(static_cast<std::int64_t>(fields.size()), "column"), names.size()));
    const std::string& field = fields[number_place];
    std::int64_t number = -1;
    const auto [next, problem] = std::from_chars(field.data(), field.data() + field.size(), number);
    if (problem != std::errc() || next != field.data() + field.size() || number < 0)
      fail(fmt::format("{} is '{}'; it must be a whole number from 0", number_column, printable(field)));
    if (number >= count) continue;  // an id of which there is no interaction
    const auto place = static_cast<std::size_t>(number);
    if (seen[place]) fail(fmt::format("{} {} has an original id already", number_column, number));
    seen[place] = true;
    originals[place] = fields[original_place];
  }
  const std::int64_t missing = std::count(seen.begin(), seen.end(), false);
  for (std::size_t i = 0; i < originals.size(); ++i) {
    if (!seen[i]) originals[i] = std::to_string(i);
  }
  if (missing > 0)
    notices.push_back(fmt::format("{}: {} of {} have no original id and keep their number",
                                  file.filename().string(), grouped(missing), counted(count, number_column)));
  return originals;
}

}  // namespace sea
