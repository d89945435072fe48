#include "models/learned_graph.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/graph.hpp"
#include "sea/cpu.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

using namespace sea;
using namespace sea::test;

namespace {

constexpr std::int64_t items = 30, k = 4;

/// Items x k different ids in no order.
std::vector<std::int32_t> lists(std::int32_t step) {
  std::vector<std::int32_t> ids;
  for (std::int32_t item = 0; item < items; ++item) {
    for (std::int32_t i = 0; i < k; ++i)
      ids.push_back((item + step * (i + 1) * (item % 3 == 0 ? 1 : 3)) % static_cast<std::int32_t>(items));
  }
  return ids;
}

HostCsr frozen_graph(std::int32_t step, float value) {
  HostCsr graph = neighbour_graph(lists(step), items, k);
  for (float& x : graph.values) x = value += 0.01f;
  return graph;
}

}  // namespace

TEST_CASE("learned graph: the union of frozen and learned entries, its transpose, and what belongs to whom") {
  CpuBackend backend(1);
  const HostCsr first = frozen_graph(1, 0.1f), second = frozen_graph(7, 5.0f);
  LearnedGraph graph(backend, {first, second}, k);
  for (const auto& [a, b] : {std::pair(7, 1), std::pair(1, 7), std::pair(2, 4)}) {
    const std::vector<std::vector<std::int32_t>> learned = {lists(a), lists(b)};
    graph.build(learned);
    const LearnedPattern pattern = graph.pattern();
    REQUIRE(pattern.capacity == 4 * k * items);
    const std::int64_t entries = pattern.pattern.row_offsets[items];
    REQUIRE(entries <= pattern.capacity);
    std::int64_t masked[2] = {0, 0};
    double sums[2] = {0.0, 0.0};
    for (std::int64_t item = 0; item < items; ++item) {
      for (std::int64_t e = pattern.pattern.row_offsets[item]; e < pattern.pattern.row_offsets[item + 1];
           ++e) {
        const std::int32_t column = pattern.pattern.column_indices[e];
        if (e > pattern.pattern.row_offsets[item]) CHECK(pattern.pattern.column_indices[e - 1] < column);
        bool any = false;
        for (std::size_t m = 0; m < 2; ++m) {
          const auto begin = learned[m].begin() + item * k;
          const bool kept = std::find(begin, begin + k, column) != begin + k;
          CHECK(graph.mask(m).data[e] == (kept ? 1.0f : 0.0f));
          masked[m] += kept ? 1 : 0;
          const HostCsr& frozen = m == 0 ? first : second;
          const auto row = frozen.row(item);
          const auto found = std::find(row.begin(), row.end(), column);
          const float value =
              found == row.end() ? 0.0f : frozen.values[frozen.row_offsets[item] + (found - row.begin())];
          CHECK(graph.frozen()(static_cast<std::int64_t>(m), e) == value);
          sums[m] += value;
          any = any || kept || value != 0.0f;
        }
        CHECK(any);
      }
    }
    CHECK(masked[0] == k * items);
    CHECK(masked[1] == k * items);
    CHECK(sums[0] == Approx(std::accumulate(first.values.begin(), first.values.end(), 0.0)));
    CHECK(sums[1] == Approx(std::accumulate(second.values.begin(), second.values.end(), 0.0)));

    REQUIRE(pattern.transposed.row_offsets[items] == entries);
    std::vector<bool> seen(static_cast<std::size_t>(entries));
    for (std::int64_t column = 0; column < items; ++column) {
      for (std::int64_t t = pattern.transposed.row_offsets[column];
           t < pattern.transposed.row_offsets[column + 1]; ++t) {
        const std::int32_t e = pattern.permutation[static_cast<std::size_t>(t)];
        CHECK(pattern.pattern.column_indices[e] == column);
        const std::int32_t row = pattern.transposed.column_indices[t];
        CHECK((pattern.pattern.row_offsets[row] <= e && e < pattern.pattern.row_offsets[row + 1]));
        CHECK(!seen[static_cast<std::size_t>(e)]);
        seen[static_cast<std::size_t>(e)] = true;
      }
    }
  }
}

TEST_CASE("learned graph: a neighbour that is none leaves the frozen entries alone") {
  CpuBackend backend(1);
  const HostCsr frozen = frozen_graph(1, 0.1f);
  LearnedGraph graph(backend, {frozen}, k);
  graph.build({lists(7)});
  graph.build({std::vector<std::int32_t>(static_cast<std::size_t>(items * k), -1)});
  const LearnedPattern pattern = graph.pattern();
  REQUIRE(pattern.pattern.row_offsets[items] == frozen.nonzeros());
  for (std::int64_t e = 0; e < frozen.nonzeros(); ++e) {
    CHECK(pattern.pattern.column_indices[e] == frozen.column_indices[e]);
    CHECK(graph.mask(0).data[e] == 0.0f);
    CHECK(graph.frozen()(0, e) == frozen.values[e]);
  }
}

TEST_CASE("likeness graph: cosines over the roots of row sums, zero rows without likeness") {
  CpuBackend backend(1);
  ItemFeatures features;
  features.modality = "visual";
  features.values = HostMatrix(items, 6);
  features.values.values = random_values(items * 6, 3);
  for (float& x : features.values.values) x = std::abs(x) + 0.1f;
  for (std::int64_t j = 0; j < 6; ++j) features.values.view()(5, j) = 0.0f;
  const Buffer<float> raw = to_device(backend, features.values.values);
  const HostCsr graph = likeness_graph(backend, features, raw.matrix(items, 6), k, [](const std::string&) {});
  const auto cosine = [&](std::int64_t i, std::int64_t j) {
    double dot = 0.0, ii = 0.0, jj = 0.0;
    for (std::int64_t c = 0; c < 6; ++c) {
      const double x = features.values.view()(i, c), y = features.values.view()(j, c);
      dot += x * y, ii += x * x, jj += y * y;
    }
    return ii == 0.0 || jj == 0.0 ? 0.0 : dot / std::sqrt(ii * jj);
  };
  std::vector<double> sums(static_cast<std::size_t>(items));
  for (std::int64_t i = 0; i < items; ++i) {
    REQUIRE(std::ssize(graph.row(i)) == k);
    for (const std::int32_t j : graph.row(i)) sums[i] += cosine(i, j);
  }
  CHECK(sums[5] == 0.0);
  for (std::int64_t i = 0; i < items; ++i) {
    for (std::int64_t e = graph.row_offsets[i]; e < graph.row_offsets[i + 1]; ++e) {
      const std::int32_t j = graph.column_indices[e];
      const double expected =
          sums[i] > 0.0 && sums[j] > 0.0 ? cosine(i, j) / std::sqrt(sums[i] * sums[j]) : 0.0;
      CHECK(graph.values[e] == Approx(expected).margin(1e-6));
    }
  }
}
