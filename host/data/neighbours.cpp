#include "data/neighbours.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sea/buffer.hpp"
#include "sea/error.hpp"

namespace sea {

namespace {

/// The unit rows of a matrix.
class UnitRows {
 public:
  UnitRows(Backend& backend, ConstMatrixView features)
      : rows_(features.rows),
        columns_(features.columns),
        values_(backend, rows_ * columns_),
        inverse_norms_(backend, rows_) {
    backend.row_normalize(features, values_.matrix(rows_, columns_), inverse_norms_.span());
  }
  ConstMatrixView view() const { return values_.matrix(rows_, columns_); }

 private:
  std::int64_t rows_, columns_;
  Buffer<float> values_, inverse_norms_;
};

/// The k keys of largest product for each query, best first.
std::vector<std::int32_t> largest_products(Backend& backend, ConstMatrixView queries, ConstMatrixView keys,
                                           std::int64_t k) {
  constexpr std::int64_t block = 2048;
  const std::int64_t rows = std::min(block, queries.rows);
  const Buffer<std::int32_t> ids(backend, rows * k);
  const Buffer<float> scores(backend, rows * k);
  const Buffer<std::byte> workspace(
      backend, static_cast<std::int64_t>(backend.topk_dot_workspace(rows, keys.rows, keys.columns, k)));
  std::vector<std::int32_t> neighbours(static_cast<std::size_t>(queries.rows * k));
  for (std::int64_t first = 0; first < queries.rows; first += block) {
    const std::int64_t count = std::min(block, queries.rows - first);
    const auto size = static_cast<std::size_t>(count * k);
    backend.topk_dot(queries.row_range(first, count), keys, k, {}, ids.span().first(size),
                     scores.span().first(size), {workspace.data(), workspace.bytes()});
    backend.copy_to_host(neighbours.data() + first * k, ids.data(), size * sizeof(std::int32_t));
  }
  return neighbours;
}

void check_count(std::int64_t k, std::int64_t items) {
  if (k < 1 || k > items)
    throw UsageError(fmt::format("knn_k is {}; it may be 1 to {}, the number of items", k, items));
}

std::vector<std::int32_t> of_new_rows(Backend& backend, ConstMatrixView unit, std::int64_t k,
                                      std::int64_t new_rows) {
  const std::int64_t known = unit.rows - new_rows;
  const std::vector<std::int32_t> others =
      k == 1 ? std::vector<std::int32_t>()
             : largest_products(backend, unit.row_range(known, new_rows), unit.row_range(0, known), k - 1);
  std::vector<std::int32_t> neighbours;
  neighbours.reserve(static_cast<std::size_t>(new_rows * k));
  for (std::int64_t row = 0; row < new_rows; ++row) {
    neighbours.push_back(static_cast<std::int32_t>(known + row));
    const auto first = others.begin() + row * (k - 1);
    neighbours.insert(neighbours.end(), first, first + (k - 1));
  }
  return neighbours;
}

}  // namespace

std::vector<std::int32_t> nearest_neighbours(Backend& backend, ConstMatrixView features, std::int64_t k,
                                             std::int64_t new_rows) {
  const std::int64_t known = features.rows - new_rows;
  check_count(k, known);
  const UnitRows unit(backend, features);
  const ConstMatrixView keys = unit.view().row_range(0, known);
  std::vector<std::int32_t> neighbours = largest_products(backend, keys, keys, k);
  if (new_rows > 0) {
    const std::vector<std::int32_t> more = of_new_rows(backend, unit.view(), k, new_rows);
    neighbours.insert(neighbours.end(), more.begin(), more.end());
  }
  return neighbours;
}

std::vector<std::int32_t> neighbours_of_new_rows(Backend& backend, ConstMatrixView features, std::int64_t k,
                                                 std::int64_t new_rows) {
  check_count(k, features.rows - new_rows);
  const UnitRows unit(backend, features);
  return of_new_rows(backend, unit.view(), k, new_rows);
}

}  // namespace sea
