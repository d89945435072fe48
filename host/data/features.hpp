#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "data/dataset.hpp"

namespace sea {

/// A value that is NaN or infinite.
struct NotFinite {
  std::int64_t row = 0, column = 0;
  float value = 0.0f;
};

/// The first value of `matrix` that is not finite, if there is one.
std::optional<NotFinite> find_not_finite(ConstMatrixView matrix);

/// Rows that are zero throughout, and rows equal to an earlier one, bit by bit.
struct RowHealth {
  std::int64_t zero_rows = 0;
  std::int64_t duplicate_rows = 0;
};
RowHealth row_health(ConstMatrixView matrix);

/// Reads one modality's features and checks them against the number of items: two dimensions, a float type,
/// one row per item, at least two columns (a generic and a unique half), every value finite. Throws Error
/// with file, row and column; a missing file's lists the folder's .npy files.
ItemFeatures load_features(const std::filesystem::path& folder, const std::string& modality,
                           const std::string& file_name, std::int64_t items);

/// Likewise of any number of items.
ItemFeatures read_features(const std::filesystem::path& folder, const std::string& modality,
                           const std::string& file_name);

}  // namespace sea
