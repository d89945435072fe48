#include "data/neighbours.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sea/buffer.hpp"
#include "sea/error.hpp"

namespace sea {

std::vector<std::int32_t> nearest_neighbours(Backend& backend, ConstMatrixView features, std::int64_t k) {
  const std::int64_t items = features.rows;
  if (k < 1 || k > items) {
    throw UsageError(fmt::format("knn_k is {}; it may be 1 to {}, the number of items", k, items));
  }
  const Buffer<float> unit(backend, items * features.columns);
  const Buffer<float> inverse_norms(backend, items);
  backend.row_normalize(features, unit.matrix(items, features.columns), inverse_norms.span());

  constexpr std::int64_t block = 2048;
  const std::int64_t rows = std::min(block, items);
  const Buffer<std::int32_t> ids(backend, rows * k);
  const Buffer<float> scores(backend, rows * k);
  const Buffer<std::byte> workspace(
      backend, static_cast<std::int64_t>(backend.topk_dot_workspace(rows, items, features.columns, k)));
  std::vector<std::int32_t> neighbours(static_cast<std::size_t>(items * k));
  const ConstMatrixView keys = unit.matrix(items, features.columns);
  for (std::int64_t first = 0; first < items; first += block) {
    const std::int64_t count = std::min(block, items - first);
    const auto size = static_cast<std::size_t>(count * k);
    backend.topk_dot(keys.row_range(first, count), keys, k, {}, ids.span().first(size),
                     scores.span().first(size), {workspace.data(), workspace.bytes()});
    backend.copy_to_host(neighbours.data() + first * k, ids.data(), size * sizeof(std::int32_t));
  }
  return neighbours;
}

}  // namespace sea
