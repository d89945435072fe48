#include <cmath>
#include <numeric>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/learned_pattern.hpp"
#include "support/same_bits.hpp"

using namespace sea;
using namespace sea::test;

namespace {

std::vector<double> inverse_roots(const LearnedPattern& p, const std::vector<double>& values) {
  std::vector<double> sums(p.rows.size());
  for (std::int64_t e = 0; e < p.entries(); ++e) sums[p.row_of[e]] += values[e];
  for (double& sum : sums) sum = sum <= 0.0 ? 0.0 : 1.0 / std::sqrt(sum);
  return sums;
}

std::vector<double> naive(const LearnedPattern& p, const std::vector<double>& values) {
  const std::vector<double> d = inverse_roots(p, values);
  std::vector<double> y;
  for (std::int64_t e = 0; e < p.entries(); ++e) y.push_back(values[e] * d[p.row_of[e]] * d[p.column_of[e]]);
  return y;
}

/// Mostly positive values, as similarities are; rows 2, 7, 12, .. have a negative sum.
std::vector<float> similarities(const LearnedPattern& p, std::uint64_t seed) {
  std::vector<float> values = random_values(p.entries(), seed);
  for (std::int64_t e = 0; e < p.entries(); ++e) {
    values[e] = p.row_of[e] % 5 == 2 ? -std::abs(values[e]) - 0.1f : values[e] * 0.4f + 0.5f;
  }
  return values;
}

std::vector<std::int64_t> lengths_of(std::int64_t rows) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < rows; ++i) lengths.push_back(i % 4 == 3 ? 0 : 1 + i % 9);
  return lengths;
}

struct Result {
  std::vector<float> normalized, roots, dvalues;
  bool operator==(const Result&) const = default;
};

/// The arrays are longer than the pattern, by `spare` places that must stay as they are.
Result run(Backend& backend, const LearnedPattern& p, std::vector<float> values, std::vector<float> upstream,
           std::int64_t spare = 37) {
  const auto n = static_cast<std::int64_t>(p.rows.size());
  const std::int64_t places = p.entries() + spare;
  values.resize(static_cast<std::size_t>(places), std::nanf(""));
  upstream.resize(static_cast<std::size_t>(places), std::nanf(""));
  const DeviceCsr csr(backend, p.rows, n), transpose(backend, p.transposed, n);
  const Buffer<std::int32_t> permutation = to_device(backend, p.permutation);
  const Buffer<float> v = to_device(backend, values), dy = to_device(backend, upstream);
  const Buffer<float> y = garbage(backend, places), dv = garbage(backend, places), d = garbage(backend, n);
  const GarbageWorkspace workspace(backend, backend.edge_normalize_workspace(n));
  backend.edge_normalize(csr.pattern(), v.span(), y.span(), d.span());
  backend.edge_normalize_backward(csr.pattern(), transpose.pattern(), permutation.span(), v.span(), d.span(),
                                  dy.span(), dv.span(), workspace);
  Result result{y.download(), d.download(), dv.download()};
  for (std::vector<float>* array : {&result.normalized, &result.dvalues}) {
    for (std::int64_t e = p.entries(); e < places; ++e) CHECK(std::isnan((*array)[e]));
    array->resize(static_cast<std::size_t>(p.entries()));
  }
  return result;
}

}  // namespace

TEST_CASE("edge_normalize and its gradient against central differences") {
  for_each_backend([](Backend& backend) {
    // Rows and columns of more than a warp's entries among them.
    std::vector<std::int64_t> long_rows = lengths_of(60);
    long_rows[5] = 60;
    long_rows[17] = 33;
    long_rows[18] = 32;
    for (const std::vector<std::int64_t>& lengths :
         {std::vector<std::int64_t>{1}, {0}, {2, 2}, {0, 3, 1}, lengths_of(9), lengths_of(33), long_rows}) {
      const auto n = static_cast<std::int64_t>(lengths.size());
      const LearnedPattern p = random_pattern(lengths, n, 1);
      CAPTURE(n, p.entries());
      const std::vector<float> values = similarities(p, 2), upstream = random_values(p.entries(), 3);
      const Result result = run(backend, p, values, upstream);
      CHECK(relative_error(result.normalized, naive(p, to_double(values)), 1e-3) < 1e-6);
      CHECK(relative_error(result.roots, inverse_roots(p, to_double(values)), 1e-3) < 1e-6);
      const auto loss = [&](const std::vector<double>& at) {
        const std::vector<double> y = naive(p, at);
        return std::inner_product(y.begin(), y.end(), upstream.begin(), 0.0);
      };
      // The floor: of a single entry the gradient is 0, the difference of two numbers near 1.
      CHECK(relative_error(result.dvalues, central_differences(loss, to_double(values)), 0.1) < 2e-6);
    }
  });
}

TEST_CASE("edge_normalize: rows whose sum is not positive give 0 in their row and column") {
  for_each_backend([](Backend& backend) {
    const LearnedPattern p({{0, 1}, {0, 1, 2}, {1, 2}, {0, 3}}, 4);
    // Row 1 sums to exactly 0, row 2 to less.
    const std::vector<float> values{1.0f, 3.0f, 2.0f, -3.0f, 1.0f, 1.0f, -2.0f, 0.5f, 0.5f};
    const std::vector<float> upstream(9, 1.0f);
    const Result result = run(backend, p, values, upstream);
    const std::vector<float> roots{0.5f, 0.0f, 0.0f, 1.0f};
    CHECK(result.roots == roots);
    const std::vector<float> expected{0.25f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.25f, 0.5f};
    CHECK(result.normalized == expected);
    for (const std::size_t e : {2, 3, 4, 5, 6}) CHECK(result.dvalues[e] == 0.0f);
    // q_0 = 0.5 + (0.5 + 0.5) with column 0's entries of rows 0 and 3; d_0^3 / 2 = 1 / 16.
    CHECK(result.dvalues[0] == Approx(0.25 - 1.5 / 16.0));
    CHECK(result.dvalues[1] == Approx(-1.5 / 16.0));
  });
}

TEST_CASE("edge_normalize: a sum beyond float") {
  for_each_backend([](Backend& backend) {
    std::vector<std::int32_t> all(64);
    std::iota(all.begin(), all.end(), 0);
    LearnedPattern::Rows rows(64);
    rows[0] = all;  // two entries of each lane
    rows[1] = {1};
    const LearnedPattern p(rows, 64);
    std::vector<float> values(65, 3e38f);
    values[64] = 1.0f;
    const Result result = run(backend, p, values, std::vector<float>(65, 1.0f));
    CHECK(result.roots[0] == Approx(1.0 / std::sqrt(64.0 * 3e38)).epsilon(1e-6).margin(0.0));
    CHECK(result.roots[1] == 1.0f);
  });
}

TEST_CASE("edge_normalize: a NaN is its row's and its column's") {
  const std::int64_t n = 33;
  const LearnedPattern p = random_pattern(std::vector<std::int64_t>(n, 6), n, 4);
  std::vector<float> values(static_cast<std::size_t>(p.entries()), 0.5f);
  values[5 * 6 + 1] = std::nanf("");
  for_each_backend([&](Backend& backend) {
    const Result result = run(backend, p, values, random_values(p.entries(), 5));
    for (std::int64_t e = 0; e < p.entries(); ++e) {
      CHECK(std::isnan(result.normalized[e]) == (p.row_of[e] == 5 || p.column_of[e] == 5));
    }
  });
}

TEST_CASE("edge_normalize gives the same bits on any number of threads") {
  const std::int64_t n = 1300;
  const LearnedPattern p = random_pattern(std::vector<std::int64_t>(n, 11), n, 6);
  const std::vector<float> values = similarities(p, 7), upstream = random_values(p.entries(), 8);
  check_same_bits([&](Backend& backend) { return run(backend, p, values, upstream); });
}

TEST_CASE("edge_normalize refuses what does not fit") {
  CpuBackend backend(1);
  const LearnedPattern p = random_pattern({2, 2, 1}, 3, 9);
  const DeviceCsr square(backend, p.rows, 3), wide(backend, p.rows, 4), transpose(backend, p.transposed, 3),
      narrow(backend, {{0}, {1}}, 2);
  std::vector<float> v(5), y(5), d(3);
  const std::span<float> values(v), results(y), roots(d);
  const GarbageWorkspace workspace(backend, backend.edge_normalize_workspace(3));
  CHECK_THROWS_AS(backend.edge_normalize(wide.pattern(), values, results, roots), Error);
  CHECK_THROWS_AS(backend.edge_normalize(square.pattern(), values.first(4), results, roots), Error);
  CHECK_THROWS_AS(backend.edge_normalize(square.pattern(), values, results.first(4), roots), Error);
  CHECK_THROWS_AS(backend.edge_normalize(square.pattern(), values, results, roots.first(2)), Error);
  const auto backward = [&](const DeviceCsr& other, ConstIndexView permutation, std::span<float> upstream,
                            Workspace memory) {
    backend.edge_normalize_backward(square.pattern(), other.pattern(), permutation, values, roots, upstream,
                                    results, memory);
  };
  const ConstIndexView permutation(p.permutation);
  CHECK_NOTHROW(backward(transpose, permutation, values, workspace));
  CHECK_THROWS_AS(backward(narrow, permutation, values, workspace), Error);
  CHECK_THROWS_AS(backward(transpose, permutation.first(4), values, workspace), Error);
  CHECK_THROWS_AS(backward(transpose, permutation, values.first(4), workspace), Error);
  CHECK_THROWS_AS(backward(transpose, permutation, values, {}), Error);
}
