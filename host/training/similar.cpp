#include "training/similar.hpp"

#include <algorithm>
#include <cmath>

#include "sea/buffer.hpp"
#include "sea/device_csr.hpp"

namespace sea {

namespace {

/// Some rows of a matrix, each over its norm; zero rows stay.
std::vector<float> unit_rows(const HostMatrix& matrix, ConstIndexView ids) {
  std::vector<float> rows;
  rows.reserve(ids.size() * static_cast<std::size_t>(matrix.columns));
  for (const std::int32_t id : ids) {
    const float* row = matrix.view().row(id);
    double squares = 0.0;
    for (std::int64_t j = 0; j < matrix.columns; ++j)
      squares += static_cast<double>(row[j]) * static_cast<double>(row[j]);
    const double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
    for (std::int64_t j = 0; j < matrix.columns; ++j)
      rows.push_back(static_cast<float>(static_cast<double>(row[j]) * scale));
  }
  return rows;
}

}  // namespace

std::vector<std::vector<Alike>> most_similar(Backend& backend, const LikenessSpace& space,
                                             ConstIndexView queries, std::int64_t top_k,
                                             ConstIndexView candidates) {
  const std::int64_t width = space.rows.columns, count = static_cast<std::int64_t>(candidates.size());
  std::vector<std::vector<Alike>> lists(queries.size());
  const std::int64_t depth = std::min(top_k, count);
  if (depth == 0) return lists;
  const std::vector<float> keys = unit_rows(space.rows, candidates);
  const Buffer<float> device_keys = to_device(backend, keys);
  constexpr std::size_t block = 1024;
  for (std::size_t first = 0; first < queries.size(); first += block) {
    const ConstIndexView some = queries.subspan(first, std::min(block, queries.size() - first));
    const auto rows = static_cast<std::int64_t>(some.size());
    const std::vector<float> units = unit_rows(space.rows, some);
    const Buffer<float> device_units = to_device(backend, units);
    std::vector<std::int64_t> offsets = {0};
    std::vector<std::int32_t> itself;
    for (const std::int32_t id : some) {
      const auto place = std::lower_bound(candidates.begin(), candidates.end(), id);
      if (place != candidates.end() && *place == id)
        itself.push_back(static_cast<std::int32_t>(place - candidates.begin()));
      offsets.push_back(static_cast<std::int64_t>(itself.size()));
    }
    const DeviceCsr excluded(backend, rows, count, offsets, itself, {});
    const Buffer<std::int32_t> ids(backend, rows * depth);
    const Buffer<float> scores(backend, rows * depth);
    const Buffer<std::byte> workspace(
        backend, static_cast<std::int64_t>(backend.topk_dot_workspace(rows, count, width, depth)));
    backend.topk_dot(device_units.matrix(rows, width), device_keys.matrix(count, width), depth,
                     excluded.pattern(), ids.span(), scores.span(), {workspace.data(), workspace.bytes()});
    const std::vector<std::int32_t> places = ids.download();
    const std::vector<float> cosines = scores.download();
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t n = i * depth; n < (i + 1) * depth && places[n] >= 0; ++n) {
        Alike alike{candidates[static_cast<std::size_t>(places[n])], cosines[n], {}};
        for (const LikenessSpace::Block& part : space.blocks) {
          double sum = 0.0;
          for (std::int64_t j = part.first; j < part.first + part.columns; ++j)
            sum +=
                static_cast<double>(units[i * width + j]) * static_cast<double>(keys[places[n] * width + j]);
          alike.contributions.push_back(static_cast<float>(sum));
        }
        lists[first + static_cast<std::size_t>(i)].push_back(std::move(alike));
      }
    }
  }
  return lists;
}

LikenessSpace side_by_side(std::vector<LikenessSpace> spaces) {
  if (spaces.size() == 1) return std::move(spaces.front());
  LikenessSpace all;
  all.rows.rows = spaces.front().rows.rows;
  for (const LikenessSpace& space : spaces) {
    for (LikenessSpace::Block block : space.blocks) {
      block.first += all.rows.columns;
      all.blocks.push_back(block);
    }
    all.rows.columns += space.rows.columns;
  }
  all.rows.values.resize(static_cast<std::size_t>(all.rows.rows * all.rows.columns));
  std::vector<std::int32_t> each(static_cast<std::size_t>(all.rows.rows));
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = static_cast<std::int32_t>(i);
  std::int64_t column = 0;
  for (const LikenessSpace& space : spaces) {
    const std::vector<float> units = unit_rows(space.rows, each);
    for (std::int64_t i = 0; i < all.rows.rows; ++i)
      std::copy_n(units.begin() + i * space.rows.columns, space.rows.columns,
                  all.rows.view().row(i) + column);
    column += space.rows.columns;
  }
  return all;
}

}  // namespace sea
