#include "data/features.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <system_error>
#include <utility>
#include <vector>

#include "data/file_bytes.hpp"
#include "data/npy.hpp"
#include "sea/error.hpp"

namespace sea {

namespace fs = std::filesystem;

std::optional<NotFinite> find_not_finite(ConstMatrixView matrix) {
  constexpr std::uint32_t exponent = 0x7F800000u;
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    const float* values = matrix.row(row);
    bool found = false;
    for (std::int64_t j = 0; j < matrix.columns; ++j)
      found |= (std::bit_cast<std::uint32_t>(values[j]) & exponent) == exponent;
    for (std::int64_t j = 0; found; ++j) {
      if (!std::isfinite(values[j])) return NotFinite{row, j, values[j]};
    }
  }
  return {};
}

RowHealth row_health(ConstMatrixView matrix) {
  RowHealth health;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> hashes;
  hashes.reserve(static_cast<std::size_t>(matrix.rows));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    const float* values = matrix.row(row);
    if (std::all_of(values, values + matrix.columns, [](float value) { return value == 0.0f; }))
      ++health.zero_rows;
    const XXH128_hash_t hash = XXH3_128bits(values, static_cast<std::size_t>(matrix.columns) * sizeof(float));
    hashes.emplace_back(hash.high64, hash.low64);
  }
  std::sort(hashes.begin(), hashes.end());
  health.duplicate_rows = hashes.end() - std::unique(hashes.begin(), hashes.end());
  return health;
}

namespace {

ItemFeatures read_and_check(const fs::path& folder, const std::string& modality, const std::string& file_name,
                            std::optional<std::int64_t> items) {
  ItemFeatures features{modality, folder / file_name, {}};
  const std::string name = features.file.string();
  std::error_code error;
  if (file_name.empty() || !fs::exists(features.file, error))
    throw Error(fmt::format("{}: no such {} feature file; .npy files here: {}", name, modality,
                            list_files(folder, ".npy")));
  features.values = read_npy_matrix(features.file);
  const ConstMatrixView values = std::as_const(features.values).view();
  if (items && values.rows != *items)
    throw Error(fmt::format("{}: has {}, and the interactions name {} (1 + the largest itemID)", name,
                            counted(values.rows, "row"), counted(*items, "item")));
  if (values.columns < 2)
    throw Error(
        fmt::format("{}: is {} wide; at least 2 are needed", name, counted(values.columns, "column")));
  if (const std::optional<NotFinite> bad = find_not_finite(values))
    throw Error(fmt::format("{}: the value of row {}, column {} is {}; features must be finite", name,
                            bad->row, bad->column, std::isnan(bad->value) ? "NaN" : "infinite"));
  return features;
}

}  // namespace

ItemFeatures load_features(const fs::path& folder, const std::string& modality, const std::string& file_name,
                           std::int64_t items) {
  return read_and_check(folder, modality, file_name, items);
}

ItemFeatures read_features(const fs::path& folder, const std::string& modality,
                           const std::string& file_name) {
  return read_and_check(folder, modality, file_name, {});
}

}  // namespace sea
