#include "data/singular_vectors.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/graph.hpp"
#include "data/random_stream.hpp"

namespace sea {

namespace {

/// A row-major matrix of doubles.
struct Table {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;

  Table(std::int64_t rows_, std::int64_t columns_)
      : rows(rows_), columns(columns_), values(static_cast<std::size_t>(rows_ * columns_)) {}
  double* row(std::int64_t i) { return values.data() + i * columns; }
  const double* row(std::int64_t i) const { return values.data() + i * columns; }
};

Table product(const HostCsr& a, const Table& b) {
  Table c(a.rows, b.columns);
  for (std::int64_t i = 0; i < a.rows; ++i) {
    double* sum = c.row(i);
    for (std::int64_t e = a.row_offsets[static_cast<std::size_t>(i)];
         e < a.row_offsets[static_cast<std::size_t>(i) + 1]; ++e) {
      const double value = a.values[static_cast<std::size_t>(e)];
      const double* other = b.row(a.column_indices[static_cast<std::size_t>(e)]);
      for (std::int64_t j = 0; j < b.columns; ++j) sum[j] += value * other[j];
    }
  }
  return c;
}

Table product(const Table& a, const Table& b) {
  Table c(a.rows, b.columns);
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t k = 0; k < a.columns; ++k) {
      const double value = a.row(i)[k];
      for (std::int64_t j = 0; j < b.columns; ++j) c.row(i)[j] += value * b.row(k)[j];
    }
  }
  return c;
}

/// a^T b
Table inner_product(const Table& a, const Table& b) {
  Table c(a.columns, b.columns);
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t k = 0; k < a.columns; ++k) {
      const double value = a.row(i)[k];
      for (std::int64_t j = 0; j < b.columns; ++j) c.row(k)[j] += value * b.row(i)[j];
    }
  }
  return c;
}

/// The eigenvectors of a symmetric matrix as columns, by descending eigenvalue: cyclic Jacobi rotations.
Table eigenvectors(Table a, std::vector<double>& values) {
  const std::int64_t n = a.rows;
  Table v(n, n);
  for (std::int64_t i = 0; i < n; ++i) v.row(i)[i] = 1.0;
  for (int sweep = 0; sweep < 40; ++sweep) {
    double off = 0.0, all = 0.0;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        all += a.row(i)[j] * a.row(i)[j];
        if (i != j) off += a.row(i)[j] * a.row(i)[j];
      }
    }
    if (off <= 1e-30 * all) break;
    for (std::int64_t p = 0; p < n; ++p) {
      for (std::int64_t q = p + 1; q < n; ++q) {
        if (a.row(p)[q] == 0.0) continue;
        const double theta = (a.row(q)[q] - a.row(p)[p]) / (2.0 * a.row(p)[q]);
        const double tangent = (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1.0));
        const double cosine = 1.0 / std::sqrt(tangent * tangent + 1.0), sine = tangent * cosine;
        for (std::int64_t k = 0; k < n; ++k) {
          const double kp = a.row(k)[p], kq = a.row(k)[q];
          a.row(k)[p] = cosine * kp - sine * kq;
          a.row(k)[q] = sine * kp + cosine * kq;
        }
        for (std::int64_t k = 0; k < n; ++k) {
          const double pk = a.row(p)[k], qk = a.row(q)[k];
          a.row(p)[k] = cosine * pk - sine * qk;
          a.row(q)[k] = sine * pk + cosine * qk;
          const double vp = v.row(k)[p], vq = v.row(k)[q];
          v.row(k)[p] = cosine * vp - sine * vq;
          v.row(k)[q] = sine * vp + cosine * vq;
        }
      }
    }
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t i, std::int64_t j) { return a.row(i)[i] > a.row(j)[j]; });
  Table sorted(n, n);
  values.clear();
  for (std::int64_t j = 0; j < n; ++j) {
    const std::int64_t from = order[static_cast<std::size_t>(j)];
    values.push_back(a.row(from)[from]);
    for (std::int64_t i = 0; i < n; ++i) sorted.row(i)[j] = v.row(i)[from];
  }
  return sorted;
}

/// Columns of length 1, orthogonal to each other, that span what those of `a` span.
Table orthonormal(const Table& a) {
  std::vector<double> values;
  const Table rotation = eigenvectors(inner_product(a, a), values);
  std::int64_t rank = 0;
  while (rank < a.columns && values[static_cast<std::size_t>(rank)] > 1e-13 * values[0]) ++rank;
  Table scaled(a.columns, rank);
  for (std::int64_t i = 0; i < a.columns; ++i) {
    for (std::int64_t j = 0; j < rank; ++j)
      scaled.row(i)[j] = rotation.row(i)[j] / std::sqrt(values[static_cast<std::size_t>(j)]);
  }
  return product(a, scaled);
}

}  // namespace

SingularVectors leading_singular_vectors(const HostCsr& matrix, std::int64_t count, std::uint64_t seed) {
  constexpr std::int64_t spare = 16;  // the vectors beyond those asked for make them converge sooner
  constexpr int iterations = 12;
  const HostCsr turned = transpose(matrix);
  Table start(matrix.columns, std::min({count + spare, matrix.rows, matrix.columns}));
  RandomStream random(seed, 0);
  for (double& value : start.values) value = random.bell();
  Table basis = orthonormal(product(turned, product(matrix, start)));
  for (int i = 0; i < iterations; ++i) basis = orthonormal(product(turned, product(matrix, basis)));

  SingularVectors result;
  const Table image = product(matrix, basis);
  const Table rotation = eigenvectors(inner_product(image, image), result.values);
  const Table vectors = product(basis, rotation);
  const std::int64_t kept = std::min(count, vectors.columns);
  result.values.resize(static_cast<std::size_t>(kept));
  for (double& value : result.values) value = std::sqrt(std::max(value, 0.0));
  result.vectors = HostMatrix(matrix.columns, kept);
  for (std::int64_t j = 0; j < kept; ++j) {
    double largest = 0.0;
    for (std::int64_t i = 0; i < vectors.rows; ++i) {
      if (std::abs(vectors.row(i)[j]) > std::abs(largest)) largest = vectors.row(i)[j];
    }
    const double sign = largest < 0.0 ? -1.0 : 1.0;
    for (std::int64_t i = 0; i < vectors.rows; ++i)
      result.vectors.view()(i, j) = static_cast<float>(sign * vectors.row(i)[j]);
  }
  return result;
}

}  // namespace sea
