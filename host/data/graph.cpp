#include "data/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sea/error.hpp"

namespace sea {

namespace {

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// The transpose, columns ascending since rows are walked in order.
HostCsr transposed(const HostCsr& matrix, bool with_values) {
  HostCsr result;
  result.rows = matrix.columns;
  result.columns = matrix.rows;
  result.row_offsets.assign(at(matrix.columns) + 1, 0);
  result.column_indices.resize(matrix.column_indices.size());
  if (with_values) result.values.resize(matrix.values.size());
  for (const std::int32_t column : matrix.column_indices) ++result.row_offsets[at(column) + 1];
  for (std::int64_t row = 0; row < result.rows; ++row)
    result.row_offsets[at(row) + 1] += result.row_offsets[at(row)];
  std::vector<std::int64_t> next(result.row_offsets.begin(), result.row_offsets.end() - 1);
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t e = matrix.row_offsets[at(row)]; e < matrix.row_offsets[at(row) + 1]; ++e) {
      const std::size_t place = at(next[at(matrix.column_indices[at(e)])]++);
      result.column_indices[place] = static_cast<std::int32_t>(row);
      if (with_values) result.values[place] = matrix.values[at(e)];
    }
  }
  return result;
}

}  // namespace

namespace {

/// The square graph of users and then items, with a loop at each node where asked; `value` is that of the
/// entry between nodes of these degrees.
template <class Value>
HostCsr node_graph(const HostCsr& train, const HostCsr& joined, bool self_loops, const Value& value) {
  const std::int64_t users = train.rows, items = train.columns;
  if (users + items > std::numeric_limits<std::int32_t>::max())
    throw Error(fmt::format("{} users and {} items are more nodes than a graph may have, {}", users, items,
                            std::numeric_limits<std::int32_t>::max()));
  const HostCsr by_item = transposed(train, false);
  HostCsr graph;
  graph.rows = graph.columns = users + items;
  graph.row_offsets.reserve(at(users + items) + 1);
  graph.column_indices.reserve(2 * train.column_indices.size() + (self_loops ? at(users + items) : 0));
  graph.values.reserve(graph.column_indices.capacity());
  const auto add = [&](std::int64_t column, double entry) {
    graph.column_indices.push_back(static_cast<std::int32_t>(column));
    graph.values.push_back(static_cast<float>(entry));
  };
  const auto add_rows = [&](const HostCsr& side, const HostCsr& other, std::int64_t first_row,
                            std::int64_t first_column) {
    for (std::int64_t row = 0; row < side.rows; ++row) {
      const bool joins = first_row == 0 && joined.rows > 0 && side.row(row).empty();
      const ConstIndexView columns = joins ? joined.row(row) : side.row(row);
      const auto degree = static_cast<double>(columns.size());
      const bool loop_first = first_row < first_column;
      if (self_loops && loop_first) add(first_row + row, value(degree, degree));
      for (const std::int32_t column : columns)
        add(first_column + column,
            value(degree, static_cast<double>(other.row(column).size()) + (joins ? 1.0 : 0.0)));
      if (self_loops && !loop_first) add(first_row + row, value(degree, degree));
      graph.row_offsets.push_back(graph.nonzeros());
    }
  };
  add_rows(train, by_item, 0, users);
  add_rows(by_item, train, users, 0);
  return graph;
}

}  // namespace

HostCsr interaction_graph(const HostCsr& train, const HostCsr& joined) {
  return node_graph(train, joined, false,
                    [](double row, double column) { return 1.0 / std::sqrt(row * column); });
}

HostCsr mean_graph(const HostCsr& train, bool self_loops, const HostCsr& joined) {
  return node_graph(train, joined, self_loops,
                    [=](double row, double) { return 1.0 / (row + (self_loops ? 1.0 : 0.0)); });
}

HostCsr user_block(const HostCsr& graph, std::int64_t users) {
  HostCsr block;
  block.rows = users;
  block.columns = graph.rows - users;
  block.row_offsets.assign(graph.row_offsets.begin(), graph.row_offsets.begin() + users + 1);
  const std::int64_t count = block.row_offsets.back();
  block.values.assign(graph.values.begin(), graph.values.begin() + count);
  block.column_indices.reserve(at(count));
  for (std::int64_t e = 0; e < count; ++e)
    block.column_indices.push_back(graph.column_indices[at(e)] - static_cast<std::int32_t>(users));
  return block;
}

HostCsr item_block(const HostCsr& graph, std::int64_t users) {
  HostCsr block;
  block.rows = graph.rows - users;
  block.columns = users;
  const std::int64_t first = graph.row_offsets[at(users)];
  block.row_offsets.clear();
  for (std::int64_t row = users; row <= graph.rows; ++row)
    block.row_offsets.push_back(graph.row_offsets[at(row)] - first);
  block.column_indices.assign(graph.column_indices.begin() + first, graph.column_indices.end());
  block.values.assign(graph.values.begin() + first, graph.values.end());
  return block;
}

HostCsr pair_graph(const HostCsr& train, bool means, const HostCsr& joined) {
  HostCsr graph;
  graph.rows = train.rows;
  graph.columns = train.columns;
  graph.column_indices.reserve(train.column_indices.size());
  graph.values.reserve(train.column_indices.size());
  for (std::int64_t user = 0; user < train.rows; ++user) {
    const ConstIndexView items =
        joined.rows > 0 && train.row(user).empty() ? joined.row(user) : train.row(user);
    const std::size_t degree = items.size();
    graph.column_indices.insert(graph.column_indices.end(), items.begin(), items.end());
    graph.row_offsets.push_back(graph.nonzeros());
    graph.values.insert(graph.values.end(), degree,
                        means ? static_cast<float>(1.0 / static_cast<double>(degree)) : 1.0f);
  }
  return graph;
}

HostCsr neighbour_graph(const std::vector<std::int32_t>& neighbours, std::int64_t items, std::int64_t k) {
  if (k < 1 || k > items || neighbours.size() != at(items) * at(k))
    throw Error(fmt::format("{} neighbour ids are not {} for each of {} items", neighbours.size(), k, items));
  HostCsr graph;
  graph.rows = graph.columns = items;
  graph.row_offsets.resize(at(items) + 1);
  graph.column_indices = neighbours;
  graph.values.assign(neighbours.size(), 1.0f / static_cast<float>(k));
  for (std::int64_t item = 0; item < items; ++item) {
    graph.row_offsets[at(item) + 1] = (item + 1) * k;
    const auto first = graph.column_indices.begin() + item * k, last = first + k;
    std::sort(first, last);
    if (*first < 0 || *(last - 1) >= items || std::adjacent_find(first, last) != last)
      throw Error(fmt::format("the neighbours of item {} are not {} different ids below {}", item, k, items));
  }
  return graph;
}

HostCsr blend(const HostCsr& a, const HostCsr& b, float weight) {
  if (a.rows != b.rows || a.columns != b.columns)
    throw Error(
        fmt::format("graphs of {} x {} and {} x {} cannot be blended", a.rows, a.columns, b.rows, b.columns));
  HostCsr graph;
  graph.rows = a.rows;
  graph.columns = a.columns;
  graph.row_offsets.reserve(at(a.rows) + 1);
  const auto add = [&](std::int32_t column, float value) {
    graph.column_indices.push_back(column);
    graph.values.push_back(value);
  };
  for (std::int64_t row = 0; row < a.rows; ++row) {
    std::size_t i = at(a.row_offsets[at(row)]), j = at(b.row_offsets[at(row)]);
    const std::size_t i_end = at(a.row_offsets[at(row) + 1]), j_end = at(b.row_offsets[at(row) + 1]);
    while (i < i_end || j < j_end) {
      const std::int32_t column =
          std::min(i < i_end ? a.column_indices[i] : std::numeric_limits<std::int32_t>::max(),
                   j < j_end ? b.column_indices[j] : std::numeric_limits<std::int32_t>::max());
      float value = 0.0f;
      if (i < i_end && a.column_indices[i] == column) value += weight * a.values[i++];
      if (j < j_end && b.column_indices[j] == column) value += (1.0f - weight) * b.values[j++];
      add(column, value);
    }
    graph.row_offsets.push_back(graph.nonzeros());
  }
  return graph;
}

HostCsr transpose(const HostCsr& matrix) {
  return transposed(matrix, !matrix.values.empty());
}

}  // namespace sea
