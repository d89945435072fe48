#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sea/buffer.hpp"

namespace sea::test {

/// A sparse matrix on a backend, from the column numbers of each row.
class DeviceCsr {
 public:
  DeviceCsr(Backend& backend, const std::vector<std::vector<std::int32_t>>& rows, std::int64_t columns,
            const std::vector<float>& values = {})
      : rows_(static_cast<std::int64_t>(rows.size())), columns_(columns) {
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> indices;
    for (const auto& row : rows) {
      indices.insert(indices.end(), row.begin(), row.end());
      offsets.push_back(static_cast<std::int64_t>(indices.size()));
    }
    offsets_ = to_device(backend, offsets);
    indices_ = to_device(backend, indices);
    values_ = to_device(backend, values);
  }

  CsrPatternView pattern() const { return {rows_, columns_, offsets_.data(), indices_.data()}; }
  CsrView view() const {
    CsrView view;
    static_cast<CsrPatternView&>(view) = pattern();
    view.values = values_.data();
    return view;
  }

 private:
  std::int64_t rows_, columns_;
  Buffer<std::int64_t> offsets_;
  Buffer<std::int32_t> indices_;
  Buffer<float> values_;
};

}  // namespace sea::test
