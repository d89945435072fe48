#include "tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>

namespace sea {

namespace {

constexpr std::size_t line_width = 100;

/// Titles where a column is to be narrow; parallel to `metric_titles`.
constexpr std::array<std::string_view, metric_titles.size()> short_titles = {
    "Recall", "NDCG", "Prec", "MAP", "Hit", "MRR", "AvgPop", "Coverage", "Gini"};

/// What stands in the names of `metrics`: the metrics, and their cut-offs.
struct Names {
  std::vector<std::size_t> metrics;
  std::vector<std::int64_t> cutoffs;

  explicit Names(const Metrics& values) {
    const auto add = [](auto& list, auto value) {
      if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
    };
    for (const auto& [key, value] : values.values) {
      const auto name = parse_metric(key);
      add(metrics, name->metric);
      add(cutoffs, name->cutoff);
    }
  }
};

using Cell = std::function<std::string(const std::string& key)>;
struct Result {
  std::string name;
  Cell cell;
};

/// Lines "NAME  Recall  0.0617 ..." under the cut-offs that stand in the names of `metrics`; below each,
/// where there is something to say, `below`.
std::string table(const std::vector<Result>& results, const Metrics& metrics, std::size_t width,
                  const Cell& below = {}) {
  if (results.empty()) return {};
  const Names names(metrics);
  std::size_t longest = 8;
  for (const std::size_t metric : names.metrics) longest = std::max(longest, metric_titles[metric].size());
  std::vector<std::vector<std::string>> lines = {{""}};
  for (const std::int64_t cutoff : names.cutoffs) lines[0].push_back(fmt::format("@{}", cutoff));
  for (const Result& result : results) {
    for (const std::size_t metric : names.metrics) {
      const std::string& name = metric == names.metrics.front() ? result.name : "";
      std::vector<std::string> line = {fmt::format("{:<6}{:<{}}", name, metric_titles[metric], longest)};
      std::vector<std::string> under = {""};
      bool any = false;
      for (const std::int64_t cutoff : names.cutoffs) {
        const std::string key = MetricName{metric, cutoff}.key();
        line.push_back(result.cell(key));
        under.push_back(below ? below(key) : "");
        any |= !under.back().empty();
      }
      lines.push_back(line);
      if (any) lines.push_back(under);
    }
  }
  return text_table(lines, width);
}

/// The text of the interval of `key`; empty where there is none.
std::string interval_of(const MetricIntervals& intervals, const std::string& key) {
  for (const auto& [name, interval] : intervals) {
    if (name == key) return interval_text(interval);
  }
  return {};
}

}  // namespace

std::string text_table(const std::vector<std::vector<std::string>>& lines, std::size_t least) {
  std::vector<std::size_t> widths(lines.front().size(), least);
  widths[0] = 0;
  for (const auto& cells : lines) {
    for (std::size_t i = 0; i < cells.size(); ++i)
      widths[i] = std::max(widths[i], cells[i].size() + (i == 0 ? 0 : 2));
  }
  std::string text;
  std::size_t begin = 1;
  do {
    std::size_t end = begin, total = widths[0];
    while (end < widths.size() && (end == begin || total + widths[end] <= line_width)) total += widths[end++];
    if (begin > 1) text += '\n';
    for (const auto& cells : lines) {
      std::string line = fmt::format("{:<{}}", cells[0], widths[0]);
      for (std::size_t i = begin; i < std::min(end, cells.size()); ++i)
        line += fmt::format("{:>{}}", cells[i], widths[i]);
      text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
    }
    begin = end;
  } while (begin < widths.size());
  return text;
}

std::string figure(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  return fmt::format("{:.{}f}", value, size < 10.0 ? 4 : size < 100.0 ? 3 : size < 1000.0 ? 2 : 1);
}

std::string interval_text(const Interval& interval) {
  return fmt::format("{}-{}", figure(interval.low), figure(interval.high));
}

std::string metrics_table(const std::vector<std::pair<std::string, Metrics>>& results,
                          const MetricIntervals& intervals) {
  std::vector<Result> rows;
  Metrics names;
  for (const auto& [name, metrics] : results) {
    if (metrics.empty()) continue;
    names = metrics;
    rows.push_back({name, [&metrics = metrics](const std::string& key) { return figure(metrics.at(key)); }});
  }
  return table(rows, names, 9, [&](const std::string& key) { return interval_of(intervals, key); });
}

std::string mean_table(const std::vector<std::pair<std::string, std::vector<Metrics>>>& results) {
  std::vector<Result> rows;
  Metrics names;
  for (const auto& [name, runs] : results) {
    if (runs.empty()) continue;
    names = runs.front();
    rows.push_back({name, [&runs = runs](const std::string& key) {
                      const double count = static_cast<double>(runs.size());
                      double mean = 0.0, squares = 0.0;
                      for (const Metrics& run : runs) mean += run.at(key) / count;
                      for (const Metrics& run : runs) squares += (run.at(key) - mean) * (run.at(key) - mean);
                      return fmt::format("{:.4f}+-{:.4f}", mean,
                                         runs.size() > 1 ? std::sqrt(squares / (count - 1.0)) : 0.0);
                    }});
  }
  return table(rows, names, 17);
}

std::string group_table(const std::vector<GroupLine>& groups, std::int64_t cutoff) {
  if (groups.empty()) return {};
  const Names names(groups.front().metrics);
  std::vector<std::vector<std::string>> lines = {{fmt::format("@{}", cutoff), "users"}};
  for (const std::size_t metric : names.metrics) lines[0].emplace_back(short_titles[metric]);
  for (const GroupLine& group : groups) {
    std::vector<std::string> line = {group.name, std::to_string(group.metrics.users)}, under = {"", ""};
    for (const std::size_t metric : names.metrics) {
      const std::string key = MetricName{metric, cutoff}.key();
      line.push_back(figure(group.metrics.at(key)));
      under.push_back(interval_of(group.intervals, key));
    }
    lines.push_back(line);
    if (!group.intervals.empty()) lines.push_back(under);
  }
  return text_table(lines, 8);
}

}  // namespace sea
