#include <algorithm>
#include <cmath>
#include <numeric>

#include "sea/cpu.hpp"
#include "sea/error.hpp"
#include "support/backends.hpp"
#include "support/catch.hpp"
#include "support/learned_pattern.hpp"
#include "support/same_bits.hpp"
#include "support/strided.hpp"

using namespace sea;
using namespace sea::test;

namespace {

/// v_e = a_e X_row . Y_column; `a` empty: 1.
std::vector<double> naive(const LearnedPattern& p, const std::vector<double>& a, const std::vector<double>& x,
                          const std::vector<double>& y, std::int64_t width) {
  std::vector<double> products;
  for (std::int64_t e = 0; e < p.entries(); ++e) {
    const double* row = &x[p.row_of[e] * width];
    const double product = std::inner_product(row, row + width, &y[p.column_of[e] * width], 0.0);
    products.push_back(a.empty() ? product : a[e] * product);
  }
  return products;
}

/// S X with the values s.
std::vector<double> naive_spmm(const LearnedPattern& p, const std::vector<double>& s,
                               const std::vector<double>& x, std::int64_t width) {
  std::vector<double> y(p.rows.size() * width);
  for (std::int64_t e = 0; e < p.entries(); ++e) {
    for (std::int64_t j = 0; j < width; ++j) {
      y[p.row_of[e] * width + j] += s[e] * x[p.column_of[e] * width + j];
    }
  }
  return y;
}

std::vector<std::int64_t> lengths_of(std::int64_t rows, const std::vector<std::int64_t>& long_ones) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < rows; ++i) lengths.push_back(i % 4 == 3 ? 0 : i % 11);
  for (std::size_t i = 0; i < long_ones.size(); ++i) lengths[(i * 13 + 5) % lengths.size()] = long_ones[i];
  return lengths;
}

CsrView with_values(const CsrPatternView& pattern, const float* values) {
  return {pattern, values};
}

double weighted_sum(const std::vector<double>& values, const std::vector<float>& weights) {
  return std::inner_product(values.begin(), values.end(), weights.begin(), 0.0);
}

}  // namespace

TEST_CASE("sddmm forms the products of a pattern's entries") {
  for_each_backend([](Backend& backend) {
    // Rows of 128 and 129 entries: one warp's and the whole block's.
    const std::vector<LearnedPattern> patterns{random_pattern({1}, 1, 1), random_pattern({0, 0, 2}, 3, 2),
                                               random_pattern(lengths_of(21, {}), 13, 3),
                                               random_pattern(lengths_of(19, {128, 129, 300, 127}), 400, 4)};
    for (const LearnedPattern& p : patterns) {
      for (const std::int64_t width : {1, 3, 4, 32, 33, 64, 100}) {
        for (const auto& [gap, gap_of_y] : {std::pair{0, 0}, {1, 2}, {4, 8}, {4, 3}, {3, 4}}) {
          const auto rows = static_cast<std::int64_t>(p.rows.size());
          CAPTURE(rows, p.columns, width, gap);
          const std::vector<float> a = random_values(p.entries(), 5);
          const std::vector<float> left = random_values(rows * width, 6),
                                   right = random_values(p.columns * width, 7);
          const StridedMatrix x(backend, left, rows, width, gap),
              y(backend, right, p.columns, width, gap_of_y);
          const DeviceCsr csr(backend, p.rows, p.columns, a);
          const Buffer<float> products = garbage(backend, p.entries()), plain = garbage(backend, p.entries());
          backend.sddmm(csr.view(), x.view(), y.view(), products.span());
          backend.sddmm(with_values(csr.pattern(), nullptr), x.view(), y.view(), plain.span());
          CHECK(relative_error(products.download(),
                               naive(p, to_double(a), to_double(left), to_double(right), width), 1.0) < 1e-6);
          CHECK(relative_error(plain.download(), naive(p, {}, to_double(left), to_double(right), width),
                               1.0) < 1e-6);
        }
      }
    }
  });
}

TEST_CASE("sddmm of column ranges that begin anywhere") {
  const LearnedPattern p = random_pattern(lengths_of(20, {14}), 17, 8);
  const std::vector<float> wide_x = random_values(20 * 24, 9), wide_y = random_values(17 * 24, 10);
  for_each_backend([&](Backend& backend) {
    const DeviceCsr csr(backend, p.rows, p.columns);
    const Buffer<float> x = to_device(backend, wide_x), y = to_device(backend, wide_y);
    for (const std::int64_t first : {1, 3, 4}) {
      std::vector<double> left, right;
      for (std::int64_t i = 0; i < 20; ++i) {
        left.insert(left.end(), &wide_x[i * 24 + first], &wide_x[i * 24 + first] + 16);
      }
      for (std::int64_t i = 0; i < 17; ++i) {
        right.insert(right.end(), &wide_y[i * 24 + first], &wide_y[i * 24 + first] + 16);
      }
      const Buffer<float> products = garbage(backend, p.entries());
      backend.sddmm(with_values(csr.pattern(), nullptr), x.matrix(20, 24).column_range(first, 16),
                    y.matrix(17, 24).column_range(first, 16), products.span());
      CHECK(relative_error(products.download(), naive(p, {}, left, right, 16)) < 1e-6);
    }
  });
}

TEST_CASE("sddmm of a range of a pattern's rows writes their places alone") {
  const LearnedPattern p = random_pattern(lengths_of(20, {}), 17, 11);
  const std::vector<float> left = random_values(20 * 8, 12), right = random_values(17 * 8, 13);
  const std::vector<double> expected = naive(p, {}, to_double(left), to_double(right), 8);
  for_each_backend([&](Backend& backend) {
    const DeviceCsr csr(backend, p.rows, p.columns);
    const Buffer<float> x = to_device(backend, left), y = to_device(backend, right);
    const Buffer<float> products = garbage(backend, p.entries());
    backend.sddmm(with_values(csr.pattern().row_range(5, 9), nullptr), x.matrix(20, 8).row_range(5, 9),
                  y.matrix(17, 8), products.span());
    const std::vector<float> all = products.download();
    for (std::int64_t e = 0; e < p.entries(); ++e) {
      if (p.row_of[e] >= 5 && p.row_of[e] < 14) {
        CHECK(all[e] == Approx(expected[e]).epsilon(1e-5).margin(1e-6));
      } else {
        CHECK(std::isnan(all[e]));
      }
    }
  });
}

TEST_CASE("sddmm's gradients are two calls of spmm") {
  const LearnedPattern p = random_pattern(lengths_of(9, {7}), 8, 14);
  const std::int64_t rows = 9, width = 5;
  const std::vector<float> a = random_values(p.entries(), 15), upstream = random_values(p.entries(), 16);
  const std::vector<float> left = random_values(rows * width, 17), right = random_values(8 * width, 18);
  const std::vector<double> x0 = to_double(left), y0 = to_double(right), a0 = to_double(a);
  std::vector<float> of_entries;
  for (std::int64_t e = 0; e < p.entries(); ++e) of_entries.push_back(a[e] * upstream[e]);
  for_each_backend([&](Backend& backend) {
    const DeviceCsr csr(backend, p.rows, p.columns, of_entries), transpose(backend, p.transposed, rows);
    const Buffer<std::int32_t> permutation = to_device(backend, p.permutation);
    const Buffer<float> transposed = garbage(backend, p.entries());
    const StridedMatrix x(backend, left, rows, width), y(backend, right, 8, width);
    const StridedMatrix dx(backend, rows, width), dy(backend, 8, width);
    backend.spmm(csr.view(), y.view(), {}, dx.view());
    backend.transpose_values(transpose.pattern(), permutation.span(), {csr.view().values, a.size()},
                             transposed.span());
    backend.spmm(with_values(transpose.pattern(), transposed.data()), x.view(), {}, dy.view());
    const auto of_x = [&](auto& at) { return weighted_sum(naive(p, a0, at, y0, width), upstream); };
    const auto of_y = [&](auto& at) { return weighted_sum(naive(p, a0, x0, at, width), upstream); };
    CHECK(relative_error(dx.values(), central_differences(of_x, x0)) < 1e-6);
    CHECK(relative_error(dy.values(), central_differences(of_y, y0)) < 1e-6);
  });
}

TEST_CASE("sddmm is the gradient of spmm with respect to values that a step computes") {
  // h = S (S x), S being written by an operator, and anew in a second step: the very memory that spmm reads.
  const LearnedPattern p = random_pattern(lengths_of(15, {15, 9}), 15, 19);
  const std::int64_t n = 15, width = 6;
  const std::vector<float> source = random_values(n * width, 20), upstream = random_values(n * width, 21);
  const std::vector<double> x0 = to_double(source);
  for_each_backend([&](Backend& backend) {
    const DeviceCsr csr(backend, p.rows, n), transpose(backend, p.transposed, n);
    const Buffer<std::int32_t> permutation = to_device(backend, p.permutation);
    const Buffer<float> values(backend, p.entries()), transposed = garbage(backend, p.entries());
    const StridedMatrix x(backend, source, n, width), dy(backend, upstream, n, width);
    const StridedMatrix h(backend, n, width), y(backend, n, width), dh(backend, n, width),
        dx(backend, n, width);
    const Buffer<float> first = garbage(backend, p.entries()), second = garbage(backend, p.entries()),
                        sum = garbage(backend, p.entries());
    const CsrView s = with_values(csr.pattern(), values.data());
    for (const std::uint64_t step : {22, 23}) {
      const std::vector<float> before = random_values(p.entries(), step);
      const Buffer<float> half = to_device(backend, before);
      backend.scale(2.0f, half.matrix(1, p.entries()), values.matrix(1, p.entries()));
      backend.spmm(s, x.view(), {}, h.view());
      backend.spmm(s, h.view(), {}, y.view());

      backend.transpose_values(transpose.pattern(), permutation.span(), values.span(), transposed.span());
      const CsrView st = with_values(transpose.pattern(), transposed.data());
      const CsrView ones = with_values(csr.pattern(), nullptr);
      backend.sddmm(ones, dy.view(), h.view(), first.span());
      backend.spmm(st, dy.view(), {}, dh.view());
      backend.sddmm(ones, dh.view(), x.view(), second.span());
      backend.spmm(st, dh.view(), {}, dx.view());
      backend.add(first.matrix(1, p.entries()), second.matrix(1, p.entries()), sum.matrix(1, p.entries()));

      std::vector<double> s0;
      for (const float value : before) s0.push_back(2.0 * static_cast<double>(value));
      const auto loss = [&](const std::vector<double>& at_s, const std::vector<double>& at_x) {
        return weighted_sum(naive_spmm(p, at_s, naive_spmm(p, at_s, at_x, width), width), upstream);
      };
      CHECK(relative_error(sum.download(), central_differences([&](auto& at) { return loss(at, x0); }, s0)) <
            1e-6);
      CHECK(relative_error(dx.values(), central_differences([&](auto& at) { return loss(s0, at); }, x0)) <
            1e-6);
    }
  });
}

TEST_CASE("sddmm of unit rows: cosines, and their gradients") {
  // The kept similarities of a neighbour graph: sddmm on row_normalize'd rows, X on both sides.
  const LearnedPattern p = random_pattern(lengths_of(12, {12}), 12, 24);
  const std::int64_t n = 12, width = 7;
  const std::vector<float> source = random_values(n * width, 25), upstream = random_values(p.entries(), 26);
  const auto cosines = [&](const std::vector<double>& at) {
    std::vector<double> unit = at;
    for (std::int64_t i = 0; i < n; ++i) {
      const double norm =
          std::sqrt(std::inner_product(&at[i * width], &at[i * width] + width, &at[i * width], 0.0));
      for (std::int64_t j = 0; j < width; ++j) unit[i * width + j] /= norm;
    }
    return naive(p, {}, unit, unit, width);
  };
  for_each_backend([&](Backend& backend) {
    const DeviceCsr csr(backend, p.rows, n), transpose(backend, p.transposed, n);
    const Buffer<std::int32_t> permutation = to_device(backend, p.permutation);
    const Buffer<float> products = garbage(backend, p.entries()), transposed = garbage(backend, p.entries()),
                        inverse_norms = garbage(backend, n), dv = to_device(backend, upstream);
    const StridedMatrix x(backend, source, n, width), unit(backend, n, width), left(backend, n, width),
        both(backend, n, width), dx(backend, n, width);
    backend.row_normalize(x.view(), unit.view(), inverse_norms.span());
    backend.sddmm(with_values(csr.pattern(), nullptr), unit.view(), unit.view(), products.span());
    CHECK(relative_error(products.download(), cosines(to_double(source))) < 1e-6);
    backend.transpose_values(transpose.pattern(), permutation.span(), dv.span(), transposed.span());
    backend.spmm(with_values(csr.pattern(), dv.data()), unit.view(), {}, left.view());
    backend.spmm(with_values(transpose.pattern(), transposed.data()), unit.view(), left.view(), both.view());
    backend.row_normalize_backward(unit.view(), inverse_norms.span(), both.view(), dx.view());
    const auto loss = [&](auto& at) { return weighted_sum(cosines(at), upstream); };
    CHECK(relative_error(dx.values(), central_differences(loss, to_double(source))) < 1e-5);
  });
}

TEST_CASE("sddmm: a NaN is its entries', and no others'") {
  const LearnedPattern p = random_pattern(lengths_of(20, {}), 17, 27);
  std::vector<float> left = random_values(20 * 40, 28), right = random_values(17 * 40, 29);
  left[4 * 40 + 39] = std::nanf("");
  right[9 * 40 + 1] = std::nanf("");
  for_each_backend([&](Backend& backend) {
    const DeviceCsr csr(backend, p.rows, p.columns);
    const Buffer<float> x = to_device(backend, left), y = to_device(backend, right);
    const Buffer<float> products = garbage(backend, p.entries());
    backend.sddmm(with_values(csr.pattern(), nullptr), x.matrix(20, 40), y.matrix(17, 40), products.span());
    const std::vector<float> all = products.download();
    for (std::int64_t e = 0; e < p.entries(); ++e) {
      CHECK(std::isnan(all[e]) == (p.row_of[e] == 4 || p.column_of[e] == 9));
    }
  });
}

TEST_CASE("sddmm gives the same bits on any number of threads") {
  const LearnedPattern p = random_pattern(lengths_of(900, {700, 650}), 701, 30);
  const std::vector<float> left = random_values(900 * 33, 31), right = random_values(701 * 33, 32);
  check_same_bits([&](Backend& backend) {
    const DeviceCsr csr(backend, p.rows, p.columns);
    const Buffer<float> x = to_device(backend, left), y = to_device(backend, right);
    const Buffer<float> products = garbage(backend, p.entries());
    backend.sddmm(with_values(csr.pattern(), nullptr), x.matrix(900, 33), y.matrix(701, 33), products.span());
    return products.download();
  });
}

TEST_CASE("sddmm refuses shapes that do not fit") {
  CpuBackend backend(1);
  const DeviceCsr a(backend, {{0}, {1}}, 3, {1.0f, 1.0f});
  std::vector<float> values(12);
  const MatrixView two(values.data(), 2, 4), three(values.data(), 3, 4), narrow(values.data(), 3, 2);
  const std::span<float> products(values);
  CHECK_THROWS_AS(backend.sddmm(a.view(), three, three, products), Error);
  CHECK_THROWS_AS(backend.sddmm(a.view(), two, two, products), Error);
  CHECK_THROWS_AS(backend.sddmm(a.view(), two, narrow, products), Error);
  CHECK_THROWS_AS(backend.sddmm(a.view(), two, three, products.first(1)), Error);
}
