#include "efficiency/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "efficiency/paper.hpp"

namespace sea::bench {

namespace {

using Json = nlohmann::ordered_json;
constexpr double gigabyte = 1e9;
using Cells = std::vector<std::string>;

const Cells& titles() {
  static const Cells cells = {"data",       "model",   "memory GB", "paper", "ratio",
                              "context GB", "s/epoch", "paper",     "ratio", "evaluation s"};
  return cells;
}

Cells cells_of(const Json& row) {
  const auto number = [&](const char* key, const char* format) {
    return row[key].is_null() ? "-" : fmt::format(fmt::runtime(format), row[key].get<double>());
  };
  const std::string context = row.contains("context_bytes")
                                  ? fmt::format("{:.2f}", row["context_bytes"].get<double>() / gigabyte)
                                  : "-";
  return {row["dataset"],
          row["model"],
          number("memory_gb", "{:.2f}"),
          number("paper_memory_gb", "{:.2f}"),
          number("memory_ratio", "{:.2f}"),
          context,
          (row["scaled"] ? "~" : "") + number("seconds_per_epoch", "{:.3g}"),
          number("paper_seconds_per_epoch", "{:.2f}"),
          number("seconds_ratio", "{:.2f}"),
          number("evaluation_seconds", "{:.3g}")};
}

/// Rows under each other, `separator` between cells; numbers to the right.
std::string aligned(const std::vector<Cells>& rows, const std::string& begin, const std::string& separator,
                    const std::string& end) {
  std::vector<std::size_t> widths(titles().size());
  for (const Cells& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Cells& row : rows) {
    text += begin;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i < 2 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("{:>{}}", row[i], widths[i]);
      text += i + 1 < row.size() ? separator : end;
    }
  }
  return text;
}

std::string notes(const Json& report) {
  std::string text;
  for (const auto& [name, what] : report["data"].items())
    text += fmt::format("{}: {}\n", name, what.get<std::string>());
  const Json& first = report["rows"].front();
  text += fmt::format("{}\n", first["backend"].get<std::string>());
  text += "ratio: the paper's Table 5 over ours\n";
  for (const Json& row : report["rows"]) {
    if (!row["scaled"]) continue;
    text += "~ fewer batches than an epoch's were timed, and scaled\n";
    break;
  }
  return text;
}

std::vector<Cells> table(const Json& report) {
  std::vector<Cells> rows = {titles()};
  for (const Json& row : report["rows"]) rows.push_back(cells_of(row));
  return rows;
}

}  // namespace

Json beside_paper(const std::string& dataset, const Json& measurement) {
  const std::optional<PaperFigure> paper = paper_figure(dataset, measurement["model"]);
  Json row;
  row["dataset"] = dataset;
  row.update(measurement);
  const double memory = measurement["memory_bytes"].get<double>() / gigabyte;
  row["memory_gb"] = memory;
  for (const char* key : {"paper_memory_gb", "memory_ratio", "paper_seconds_per_epoch", "seconds_ratio"})
    row[key] = nullptr;
  if (paper) {
    row["paper_memory_gb"] = paper->memory_gb;
    row["memory_ratio"] = paper->memory_gb / memory;
    row["paper_seconds_per_epoch"] = paper->seconds_per_epoch;
    row["seconds_ratio"] = paper->seconds_per_epoch / measurement["seconds_per_epoch"].get<double>();
  }
  return row;
}

std::string as_text(const Json& report) {
  return aligned(table(report), "", "  ", "\n") + notes(report);
}

std::string as_markdown(const Json& report) {
  std::vector<Cells> rows = table(report);
  Cells rule(titles().size(), "---:");
  rule[0] = rule[1] = "---";
  rows.insert(rows.begin() + 1, rule);
  std::string list = notes(report), text = aligned(rows, "| ", " | ", " |\n") + "\n- ";
  list.pop_back();
  for (const char c : list) text += c == '\n' ? "\n- " : std::string(1, c);
  return text + "\n";
}

}  // namespace sea::bench
