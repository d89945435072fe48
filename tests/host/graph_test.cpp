#include "data/graph.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "data/interactions.hpp"
#include "data/npy.hpp"
#include "sea/error.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/skip.hpp"

namespace {

using namespace sea;
using sea::test::contains;
using sea::test::error_of;
using Dense = std::vector<std::vector<double>>;

Dense zeros(std::int64_t rows, std::int64_t columns) {
  return Dense(static_cast<std::size_t>(rows), std::vector<double>(static_cast<std::size_t>(columns)));
}

/// The matrix written out; rows must be ascending, without repetition, inside the columns.
Dense dense(const HostCsr& matrix) {
  Dense result = zeros(matrix.rows, matrix.columns);
  REQUIRE(static_cast<std::int64_t>(matrix.row_offsets.size()) == matrix.rows + 1);
  REQUIRE(matrix.row_offsets.front() == 0);
  REQUIRE(matrix.row_offsets.back() == matrix.nonzeros());
  for (std::int64_t i = 0; i < matrix.rows; ++i) {
    std::int64_t before = -1;
    for (auto e = static_cast<std::size_t>(matrix.row_offsets[static_cast<std::size_t>(i)]);
         e < static_cast<std::size_t>(matrix.row_offsets[static_cast<std::size_t>(i) + 1]); ++e) {
      REQUIRE(matrix.column_indices[e] > before);
      before = matrix.column_indices[e];
      REQUIRE(before < matrix.columns);
      result[static_cast<std::size_t>(i)][static_cast<std::size_t>(before)] =
          matrix.values.empty() ? 1.0 : double{matrix.values[e]};
    }
  }
  return result;
}

HostCsr random_csr(std::mt19937& random, std::int64_t rows, std::int64_t columns, bool values) {
  HostCsr matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int32_t j = 0; j < columns; ++j) {
      if (random() % 4 != 0) continue;
      matrix.column_indices.push_back(j);
      if (values) matrix.values.push_back(0.25f + static_cast<float>(random() % 1000));
    }
    matrix.row_offsets.push_back(matrix.nonzeros());
  }
  return matrix;
}

double largest_difference(const Dense& a, const Dense& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(a[i].size() == b[i].size());
    for (std::size_t j = 0; j < a[i].size(); ++j) largest = std::max(largest, std::abs(a[i][j] - b[i][j]));
  }
  return largest;
}

}  // namespace

TEST_CASE("mean graph: rows are means over neighbours, with or without the node itself") {
  std::mt19937 random(5);
  const HostCsr train = random_csr(random, 13, 17, false);
  const Dense pairs = dense(train);
  for (const bool self_loops : {false, true}) {
    Dense expected = zeros(30, 30);
    for (std::size_t user = 0; user < 13; ++user) {
      for (std::size_t item = 0; item < 17; ++item)
        expected[user][13 + item] = expected[13 + item][user] = pairs[user][item];
    }
    for (std::size_t node = 0; node < 30; ++node) {
      if (self_loops) expected[node][node] = 1.0;
      double degree = 0.0;
      for (const double x : expected[node]) degree += x;
      for (double& x : expected[node]) x = degree == 0.0 ? 0.0 : x / degree;
    }
    CHECK(largest_difference(dense(mean_graph(train, self_loops)), expected) < 1e-7);
  }
}

TEST_CASE("graph: interactions, against the formula", "[graph]") {
  std::mt19937 random(5);
  for (const auto& [users, items] : {std::pair(13, 7), std::pair(1, 1), std::pair(3, 20)}) {
    const HostCsr train = random_csr(random, users, items, false);
    const Dense pairs = dense(train);
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    std::vector<double> degree(at(users + items));
    for (int u = 0; u < users; ++u) {
      for (int i = 0; i < items; ++i) {
        degree[at(u)] += pairs[at(u)][at(i)];
        degree[at(users + i)] += pairs[at(u)][at(i)];
      }
    }
    Dense expected = zeros(users + items, users + items);
    for (int u = 0; u < users; ++u) {
      for (int i = 0; i < items; ++i) {
        if (pairs[at(u)][at(i)] == 0.0) continue;
        const double value = 1.0 / std::sqrt(degree[at(u)] * degree[at(users + i)]);
        expected[at(u)][at(users + i)] = expected[at(users + i)][at(u)] = value;
      }
    }
    const HostCsr graph = interaction_graph(train);
    CHECK(graph.nonzeros() == 2 * train.nonzeros());
    CHECK(largest_difference(dense(graph), expected) < 1e-7);
  }
}

TEST_CASE("graph: users' and items' rows of the interaction graph, and pairs with ones and means",
          "[graph]") {
  std::mt19937 random(6);
  const HostCsr train = random_csr(random, 9, 7, false);
  const Dense ones = dense(train), whole = dense(interaction_graph(train));
  const HostCsr block = user_block(interaction_graph(train), 9),
                of_items = item_block(interaction_graph(train), 9);
  CHECK(block.columns == 7);
  CHECK(of_items.rows == 7);
  CHECK(of_items.columns == 9);
  Dense expected = zeros(9, 7), expected_of_items = zeros(7, 9), means = zeros(9, 7);
  for (std::size_t user = 0; user < 9; ++user) {
    const double degree = std::accumulate(ones[user].begin(), ones[user].end(), 0.0);
    for (std::size_t item = 0; item < 7; ++item) {
      expected[user][item] = whole[user][9 + item];
      expected_of_items[item][user] = whole[9 + item][user];
      means[user][item] = ones[user][item] / std::max(degree, 1.0);
    }
  }
  CHECK(largest_difference(dense(block), expected) == 0.0);
  CHECK(largest_difference(dense(of_items), expected_of_items) == 0.0);
  CHECK(largest_difference(dense(pair_graph(train, false)), ones) == 0.0);
  CHECK(largest_difference(dense(pair_graph(train, true)), means) < 1e-7);
}

TEST_CASE("graph: the golden interaction graph", "[graph]") {
  const auto shared = sea::test::shared_folder();
  if (!shared) return;
  const Interactions golden = read_interactions(*shared / "golden", std::int64_t{1} << 40);
  std::vector<std::int64_t> shape;
  const std::vector<double> values =
      read_npy_values(*shared / "golden" / "graphs" / "interaction.npy", shape);
  const Dense graph = dense(interaction_graph(golden.train));
  REQUIRE(shape == std::vector<std::int64_t>(2, static_cast<std::int64_t>(graph.size())));
  Dense expected = zeros(shape[0], shape[1]);
  for (std::size_t i = 0; i < graph.size(); ++i) {
    for (std::size_t j = 0; j < graph.size(); ++j) {
      expected[i][j] = values[i * graph.size() + j];
      REQUIRE((expected[i][j] == 0.0) == (graph[i][j] == 0.0));
    }
  }
  // The golden degrees carry 1e-7 beside them.
  CHECK(largest_difference(graph, expected) < 1e-6);
}

TEST_CASE("graph: neighbours", "[graph]") {
  const HostCsr graph = neighbour_graph({2, 0, 1, 3, 3, 2, 0, 3}, 4, 2);
  const Dense expected = {{0.5, 0, 0.5, 0}, {0, 0.5, 0, 0.5}, {0, 0, 0.5, 0.5}, {0.5, 0, 0, 0.5}};
  CHECK(largest_difference(dense(graph), expected) == 0.0);
  CHECK(graph.nonzeros() == 8);
  CHECK(neighbour_graph({0, 1, 2}, 3, 1).values == std::vector<float>(3, 1.0f));
  CHECK(neighbour_graph({0, 1, 2, 2, 1, 0, 1, 0, 2}, 3, 3).values == std::vector<float>(9, 1.0f / 3.0f));

  CHECK(contains(error_of([] {
                   neighbour_graph({0, 1, 2}, 2, 2);
                 }),
                 "3 neighbour ids are not 2 for each of 2 items"));
  CHECK(contains(error_of([] { neighbour_graph({0, 1}, 1, 2); }), "are not 2 for each"));
  CHECK(contains(error_of([] { neighbour_graph({}, 2, 0); }), "are not 0 for each"));
  CHECK(contains(error_of([] { neighbour_graph({0, 2, 0, 1}, 2, 2); }), "the neighbours of item 0"));
  CHECK(contains(error_of([] { neighbour_graph({0, 1, 1, 1}, 2, 2); }), "the neighbours of item 1"));
  CHECK(contains(error_of([] { neighbour_graph({0, -1, 0, 1}, 2, 2); }), "the neighbours of item 0"));
}

TEST_CASE("graph: blend and transpose, against dense matrices", "[graph]") {
  std::mt19937 random(6);
  for (int round = 0; round < 10; ++round) {
    const HostCsr a = random_csr(random, 9, 6, true), b = random_csr(random, 9, 6, true);
    const float weight = 0.1f;
    const Dense first = dense(a), second = dense(b);
    Dense expected = zeros(9, 6);
    std::int64_t entries = 0;
    for (std::size_t i = 0; i < 9; ++i) {
      for (std::size_t j = 0; j < 6; ++j) {
        expected[i][j] = 0.1 * first[i][j] + 0.9 * second[i][j];
        entries += expected[i][j] != 0.0 ? 1 : 0;
      }
    }
    const HostCsr sum = blend(a, b, weight);
    CHECK(sum.nonzeros() == entries);
    CHECK(largest_difference(dense(sum), expected) < 1e-3);  // values go to 1000: 1e-6 relative

    const HostCsr turned = transpose(a);
    CHECK(turned.rows == 6);
    CHECK(turned.columns == 9);
    const Dense columns = dense(turned);
    for (std::size_t i = 0; i < 9; ++i) {
      for (std::size_t j = 0; j < 6; ++j) CHECK(columns[j][i] == first[i][j]);
    }
    const HostCsr back = transpose(turned);
    CHECK(back.row_offsets == a.row_offsets);
    CHECK(back.column_indices == a.column_indices);
    CHECK(back.values == a.values);
    CHECK(transpose(interaction_graph(a)).values.size() == interaction_graph(a).values.size());
  }
  const HostCsr pattern = random_csr(random, 4, 5, false);
  CHECK(transpose(pattern).values.empty());
  CHECK(transpose(pattern).nonzeros() == pattern.nonzeros());
  CHECK(
      contains(error_of([&] { blend(pattern, random_csr(random, 4, 6, true), 0.5f); }), "cannot be blended"));
}
