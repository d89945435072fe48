#include "table_writer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>

#include "configuration/key.hpp"
#include "data/atomic_file.hpp"
#include "output.hpp"

namespace sea {

namespace {

namespace fs = std::filesystem;

std::string tsv_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return tsv_field(*text);
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&cell))
    return fmt::format("{}", fmt::join(*list, ","));
  if (const auto* number = std::get_if<float>(&cell)) return fmt::format("{}", *number);
  return fmt::format("{}", std::get<std::int64_t>(cell));
}

std::string tsv_line(const Row& row) {
  std::string line;
  for (const Cell& cell : row) line += (line.empty() ? "" : "\t") + tsv_cell(cell);
  return line + '\n';
}

std::string json_line(const std::vector<std::string>& columns, const Row& row) {
  nlohmann::ordered_json line;
  for (std::size_t i = 0; i < columns.size(); ++i)
    std::visit([&](const auto& value) { line[columns[i]] = value; }, row[i]);
  // An original id need not be UTF-8.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace

std::string tsv_field(const std::string& text) {
  if (text.find_first_of("\"\t\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

ByteStrings::ByteStrings(const std::vector<std::string>& names, const std::vector<std::int64_t>& numbers) {
  for (const std::string& name : names) length = std::max(length, name.size());
  bytes.resize(numbers.size() * length);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] < 0) continue;
    const std::string& name = names[static_cast<std::size_t>(numbers[i])];
    std::memcpy(bytes.data() + i * length, name.data(), name.size());
  }
}

bool is_stdout(const std::optional<fs::path>& output) {
  return !output || *output == "-";
}

std::string ending_of(const fs::path& file) {
  return to_lower(file.extension().string());
}

void write_table(const std::optional<fs::path>& output, const std::vector<std::string>& columns,
                 const std::function<void(const std::function<void(const Row&)>&)>& source) {
  const auto write = [&](const std::function<void(std::string_view)>& out, bool json) {
    if (!json) out(tsv_line(Row(columns.begin(), columns.end())));
    source([&](const Row& row) { out(json ? json_line(columns, row) : tsv_line(row)); });
  };
  if (is_stdout(output)) return write(write_stdout, false);
  write_atomically(*output, [&](std::ostream& stream) {
    write([&](std::string_view text) { stream << text; }, ending_of(*output) == ".jsonl");
  });
}

}  // namespace sea
