#include <algorithm>
#include <cmath>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/device_csr.hpp"
#include "support/reference.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

using Rows = std::vector<std::vector<std::int32_t>>;

std::vector<std::int32_t> random_columns(std::int64_t count, std::int64_t columns, std::uint64_t seed) {
  std::vector<std::int32_t> result;
  for (std::int64_t i = 0; i < count; ++i) {
    const Philox4x32 bits = random_bits(seed, RandomPurpose::synthetic, 2, i);
    result.push_back(static_cast<std::int32_t>(uniform_below(bits, static_cast<std::uint32_t>(columns))));
  }
  return result;
}

/// Rows of the given lengths; a column may stand in a row more than once.
Rows rows_of(const std::vector<std::int64_t>& lengths, std::int64_t columns) {
  Rows rows;
  for (const std::int64_t length : lengths) rows.push_back(random_columns(length, columns, rows.size() + 1));
  return rows;
}

std::int64_t edges_of(const Rows& rows) {
  std::int64_t edges = 0;
  for (const auto& row : rows) edges += static_cast<std::int64_t>(row.size());
  return edges;
}

/// Lengths with empty rows, short rows, and the given ones among them.
std::vector<std::int64_t> mixed_lengths(int rows, const std::vector<std::int64_t>& long_ones) {
  std::vector<std::int64_t> lengths;
  for (int i = 0; i < rows; ++i) lengths.push_back(i % 4 == 3 ? 0 : i % 13);
  for (std::size_t i = 0; i < long_ones.size(); ++i) {
    lengths[(i * 37 + 11) % lengths.size()] = long_ones[i];
  }
  return lengths;
}

void check(const std::vector<std::int64_t>& lengths, std::int64_t columns, std::int64_t width) {
  const Rows rows = rows_of(lengths, columns);
  const auto row_count = static_cast<std::int64_t>(rows.size());
  const std::vector<float> values = random_values(edges_of(rows), 1);
  const std::vector<float> source = random_values(columns * width, 2);
  const std::vector<float> added = random_values(row_count * width, 3);
  const std::vector<double> product = naive_spmm(rows, to_double(values), to_double(source), width);
  std::vector<double> with_residual = product;
  for (std::size_t i = 0; i < added.size(); ++i) with_residual[i] += added[i];

  // Single precision errs like a random walk along the longest row.
  const auto longest = static_cast<double>(*std::max_element(lengths.begin(), lengths.end()));
  const double bound = 0x1.0p-24 * (2.0 + std::sqrt(longest));

  for_each_backend([&](Backend& backend) {
    INFO(row_count << " rows, width " << width);
    const DeviceCsr a(backend, rows, columns, values);
    const StridedMatrix x(backend, source, columns, width, 5), residual(backend, added, row_count, width, 1);
    const StridedMatrix y(backend, row_count, width, 2), z(backend, row_count, width);
    backend.spmm(a.view(), x.view(), {}, y.view());
    backend.spmm(a.view(), x.view(), residual.view(), z.view());
    CHECK(relative_error(y.values(), product, 1.0) < bound);
    CHECK(relative_error(z.values(), with_residual, 1.0) < bound);
    // An empty row is exactly 0, or the residual.
    const std::vector<float> sums = y.values(), residual_sums = z.values();
    for (std::int64_t i = 0; i < row_count; ++i) {
      if (!rows[i].empty()) continue;
      CHECK(sums[i * width] == 0.0f);
      CHECK(residual_sums[i * width] == added[i * width]);
    }
  });
}

}  // namespace

TEST_CASE("spmm of every width") {
  for (const std::int64_t width : {1, 2, 15, 16, 17, 37, 64, 100, 127, 128, 129, 255, 512}) {
    check(mixed_lengths(60, {}), 31, width);
  }
}

TEST_CASE("spmm of one row, one column, one edge, no edge") {
  check({1}, 1, 1);
  check({0}, 1, 3);
  check({0, 0, 0}, 5, 16);
  check({7}, 1, 64);
  check({300}, 40, 33);
  check({0, 1, 0}, 9, 128);
}

TEST_CASE("spmm of long rows among short ones") {
  check(mixed_lengths(70, {5000}), 500, 128);
  check(mixed_lengths(70, {5000}), 500, 20);
  check(mixed_lengths(400, {2047, 2048, 2049, 9000, 300}), 700, 48);
  check({5000, 0, 5000, 0, 0, 5000, 1}, 300, 8);
  check({12000}, 300, 130);
}

TEST_CASE("spmm on both sides of a long row, each matrix alone out of line") {
  const Rows rows = rows_of(mixed_lengths(40, {127, 128, 129, 300, 256}), 90);
  const std::vector<float> values = random_values(edges_of(rows), 1);
  for (const std::int64_t width : {8, 36, 68, 132}) {
    const std::vector<float> source = random_values(90 * width, 2), added = random_values(40 * width, 3);
    std::vector<double> expected = naive_spmm(rows, to_double(values), to_double(source), width);
    for (std::size_t i = 0; i < added.size(); ++i) expected[i] += added[i];
    for_each_backend([&](Backend& backend) {
      const DeviceCsr a(backend, rows, 90, values);
      for (std::size_t alone = 0; alone < 4; ++alone) {
        CAPTURE(width, alone);
        const auto gap = [&](std::size_t n) {
          return static_cast<std::int64_t>(4 + 4 * n) + (n == alone ? 1 : 0);
        };
        const StridedMatrix x(backend, source, 90, width, gap(0)),
            residual(backend, added, 40, width, gap(1)), y(backend, 40, width, gap(2));
        backend.spmm(a.view(), x.view(), residual.view(), y.view());
        CHECK(relative_error(y.values(), expected, 1.0) < 1e-6);
      }
    });
  }
}

TEST_CASE("spmm of many rows, each block of them") {
  check(mixed_lengths(9000, {100, 1500, 400}), 333, 16);
}

TEST_CASE("spmm of a range of a matrix's rows") {
  const Rows rows = rows_of(mixed_lengths(50, {3000}), 40);
  const std::vector<float> values = random_values(edges_of(rows), 1), source = random_values(40 * 24, 2);
  for_each_backend([&](Backend& backend) {
    const DeviceCsr a(backend, rows, 40, values);
    const StridedMatrix x(backend, source, 40, 24), whole(backend, 50, 24), part(backend, 30, 24);
    backend.spmm(a.view(), x.view(), {}, whole.view());
    CsrView range;
    static_cast<CsrPatternView&>(range) = a.pattern().row_range(9, 30);
    range.values = a.view().values;
    backend.spmm(range, x.view(), {}, part.view());
    const std::vector<float> all = whole.values();
    CHECK(part.values() == std::vector<float>(all.begin() + 9 * 24, all.begin() + 39 * 24));
  });
}

TEST_CASE("spmm with the transpose is the gradient of spmm") {
  const Rows rows{{0, 3}, {}, {1, 2, 3, 3}, {4}}, transpose{{0}, {2}, {2}, {0, 2, 2}, {3}};
  const std::vector<float> values{0.5f, -1.0f, 2.0f, 0.25f, 3.0f, 1.5f, -0.75f};
  const std::vector<float> transposed{0.5f, 2.0f, 0.25f, -1.0f, 3.0f, 1.5f, -0.75f};
  const std::vector<float> source = random_values(5 * 3, 1), upstream = random_values(4 * 3, 2);
  const auto loss = [&](const std::vector<double>& at) {
    const std::vector<double> y = naive_spmm(rows, to_double(values), at, 3);
    double sum = 0.0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * upstream[i];
    return sum;
  };
  for_each_backend([&](Backend& backend) {
    const DeviceCsr a(backend, transpose, 4, transposed);
    const StridedMatrix dy(backend, upstream, 4, 3), dx(backend, 5, 3);
    backend.spmm(a.view(), dy.view(), {}, dx.view());
    CHECK(relative_error(dx.values(), central_differences(loss, to_double(source))) < 1e-6);
  });
}

TEST_CASE("spmm gives the same bits on any number of threads") {
  const Rows rows = rows_of(mixed_lengths(3000, {5000, 2500}), 200);
  const std::vector<float> values = random_values(edges_of(rows), 1), source = random_values(200 * 50, 2);
  check_same_bits([&](Backend& backend) {
    const DeviceCsr a(backend, rows, 200, values);
    const StridedMatrix x(backend, source, 200, 50), y(backend, 3000, 50);
    backend.spmm(a.view(), x.view(), {}, y.view());
    return y.values();
  });
}

TEST_CASE("spmm refuses shapes that do not fit") {
  CpuBackend backend(1);
  const DeviceCsr a(backend, {{0}, {1}}, 3, {1.0f, 1.0f});
  std::vector<float> values(12), target(12);
  const MatrixView x(values.data(), 3, 4), y(target.data(), 2, 4);
  CHECK_THROWS_AS(backend.spmm(a.view(), y, {}, y), Error);
  CHECK_THROWS_AS(backend.spmm(a.view(), x, {}, x), Error);
  CHECK_THROWS_AS(backend.spmm(a.view(), x, x, y), Error);
  CHECK_NOTHROW(backend.spmm(a.view(), x, {}, y));
}
