#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sea {

/// A rectangle of one of a Program's buffers. Halves of a concatenation are ranges of one buffer: nothing is
/// copied.
struct Tensor {
  int buffer = -1;
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  /// Rows [first, first + count).
  Tensor row_range(std::int64_t first, std::int64_t count) const {
    return {buffer, first_row + first, first_column, count, columns};
  }
  /// Columns [first, first + count).
  Tensor column_range(std::int64_t first, std::int64_t count) const {
    return {buffer, first_row, first_column + first, rows, count};
  }
  bool empty() const { return buffer < 0; }
  std::int64_t size() const { return rows * columns; }
};

/// An array of a Program's integers, in device memory: a batch, a permutation, drawn anew in each step.
struct Indices {
  int buffer = -1;
  std::int64_t count = 0;

  bool empty() const { return buffer < 0; }
};

/// The draws of one parameter's initial values: a pure function of the program's seed and the parameter's
/// name.
struct InitialDraws {
  std::uint64_t seed = 0;
  std::int64_t stream = 0;
};

/// The initial values of a parameter or state, row-major, drawn on the host.
using Initializer =
    std::function<std::vector<float>(std::int64_t rows, std::int64_t columns, const InitialDraws& draws)>;

/// A named trained array, as checkpoints, tests and golden replay see it.
struct ParameterView {
  std::string name;
  std::int64_t rows = 0, columns = 0;
  float* value = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  float* gradient = nullptr;  ///< null in an arena without stored gradients

  std::int64_t size() const { return rows * columns; }
};

/// A named array that is not trained and outlives a step.
struct StateView {
  std::string name;
  std::int64_t rows = 0, columns = 0;
  float* value = nullptr;

  std::int64_t size() const { return rows * columns; }
};

}  // namespace sea
