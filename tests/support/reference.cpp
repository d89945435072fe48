#include "support/reference.hpp"

#include <cmath>
#include <limits>

#include "support/backends.hpp"

namespace sea::test {

namespace {
constexpr float gap_mark = 12345.0f;
}

TestMatrix::TestMatrix(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap,
                       const std::vector<float>& values)
    : rows_(rows), columns_(columns), gap_(gap), buffer_(backend, rows * (columns + gap)) {
  std::vector<float> padded(static_cast<std::size_t>(rows * (columns + gap)), gap_mark);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) padded[i * (columns + gap) + j] = values[i * columns + j];
  }
  buffer_.upload(padded);
}

TestMatrix::TestMatrix(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap,
                       std::uint64_t seed)
    : TestMatrix(backend, rows, columns, gap, random_values(rows * columns, seed)) {}

TestMatrix TestMatrix::output(Backend& backend, std::int64_t rows, std::int64_t columns, std::int64_t gap) {
  return {
      backend, rows, columns, gap,
      std::vector<float>(static_cast<std::size_t>(rows * columns), std::numeric_limits<float>::quiet_NaN())};
}

std::vector<float> TestMatrix::values() const {
  const std::vector<float> padded = buffer_.download();
  std::vector<float> values;
  for (std::int64_t i = 0; i < rows_; ++i) {
    const auto first = padded.begin() + i * (columns_ + gap_);
    values.insert(values.end(), first, first + columns_);
  }
  return values;
}

std::vector<double> TestMatrix::doubles() const {
  return to_double(values());
}

bool TestMatrix::gap_untouched() const {
  const std::vector<float> padded = buffer_.download();
  for (std::int64_t i = 0; i < rows_; ++i) {
    for (std::int64_t j = columns_; j < columns_ + gap_; ++j) {
      if (padded[i * (columns_ + gap_) + j] != gap_mark) return false;
    }
  }
  return true;
}

std::vector<double> naive_product(const std::vector<double>& a, const std::vector<double>& b, std::int64_t m,
                                  std::int64_t k, std::int64_t n, bool transpose_a, bool transpose_b) {
  std::vector<double> c(static_cast<std::size_t>(m * n));
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0.0;
      for (std::int64_t p = 0; p < k; ++p) {
        sum += (transpose_a ? a[p * m + i] : a[i * k + p]) * (transpose_b ? b[j * k + p] : b[p * n + j]);
      }
      c[i * n + j] = sum;
    }
  }
  return c;
}

std::vector<double> naive_spmm(const std::vector<std::vector<std::int32_t>>& rows,
                               const std::vector<double>& values, const std::vector<double>& x,
                               std::int64_t width) {
  std::vector<double> y;
  std::size_t edge = 0;
  for (const auto& row : rows) {
    std::vector<double> sum(static_cast<std::size_t>(width));
    for (const std::int32_t column : row) {
      for (std::int64_t j = 0; j < width; ++j) sum[j] += values[edge] * x[column * width + j];
      ++edge;
    }
    y.insert(y.end(), sum.begin(), sum.end());
  }
  return y;
}

std::vector<float> unit_rows(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  std::vector<float> values = random_values(rows * columns, seed);
  for (std::int64_t i = 0; i < rows; ++i) {
    double norm = 0.0;
    for (std::int64_t k = 0; k < columns; ++k) norm += std::pow(values[i * columns + k], 2);
    for (std::int64_t k = 0; k < columns; ++k) values[i * columns + k] /= static_cast<float>(std::sqrt(norm));
  }
  return values;
}

}  // namespace sea::test
