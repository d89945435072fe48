#include <algorithm>

#include "cpu/adam_update.hpp"
#include "cpu/column_sums.hpp"
#include "cpu/gemm.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/dense.hpp"
#include "sea/detail/linear_heads.hpp"

namespace sea {

namespace {

using detail::for_each_segment;
using detail::HeadSegment;
using detail::output_count;

/// C, the heads' weights stacked and spread out over all columns.
class StackedHeads {
 public:
  /// `c` has room for outputs x width values. `width` is that of the wide layer.
  StackedHeads(std::span<const LinearHead> heads, std::int64_t width, float* c)
      : heads_(heads), c_(c, output_count(heads), width) {}

  /// Fills C. Rows are independent.
  void pack(ThreadPool& pool) const {
    pool.parallel_for(static_cast<std::int64_t>(heads_.size()), [&](std::int64_t r, int) {
      const LinearHead& head = heads_[r];
      const std::int64_t first = first_row(r), end = head.first_column + head.weight.columns;
      for (std::int64_t i = 0; i < head.weight.rows; ++i) {
        float* row = c_.row(first + i);
        std::fill(row, row + head.first_column, 0.0f);
        std::copy_n(head.weight.row(i), head.weight.columns, row + head.first_column);
        std::fill(row + end, row + c_.columns, 0.0f);
      }
    });
  }

  /// First of head r's rows in C.
  std::int64_t first_row(std::int64_t r) const { return output_count(heads_.first(r)); }
  std::span<const LinearHead> heads() const { return heads_; }
  ConstMatrixView c() const { return c_; }

 private:
  std::span<const LinearHead> heads_;
  MatrixView c_;
};

/// Tiles of dW = C^T dM: small enough to be still in the cache when Adam reads them.
constexpr std::int64_t tile_rows = 128;
constexpr std::int64_t tile_columns = 1024;

/// Calls `body(row, column, tile, tile's rows and columns)` for every tile of dW, formed in the slot's own
/// scratch.
template <class Body>
void for_each_gradient_tile(ThreadPool& pool, const StackedHeads& stacked, ConstMatrixView dm, float* scratch,
                            const Body& body) {
  const std::int64_t across = cpu::blocks_of(dm.columns, tile_columns);
  for_each_segment(stacked.heads(), stacked.c().columns, [&](const HeadSegment& segment) {
    pool.parallel_for(cpu::blocks_of(segment.columns, tile_rows) * across, [&](std::int64_t block, int slot) {
      const std::int64_t offset = block / across * tile_rows, column = block % across * tile_columns;
      const std::int64_t row = segment.first_column + offset;
      float* data = scratch + slot * tile_rows * tile_columns;
      const MatrixView tile(data, std::min(tile_rows, segment.columns - offset),
                            std::min(tile_columns, dm.columns - column));
      if (segment.rows == 0) {
        std::fill_n(data, tile.size(), 0.0f);
      } else {
        cpu::gemm(Transpose::yes, Transpose::no, tile.rows, tile.columns, segment.rows, 1.0f,
                  stacked.c().row(segment.first_row) + row, stacked.c().columns,
                  dm.row(segment.first_row) + column, dm.leading_dimension, 0.0f, data, tile.columns);
      }
      body(row, column, tile);
    });
  });
}

}  // namespace

std::size_t CpuBackend::factored_linear_workspace(std::int64_t n, std::int64_t width, std::int64_t /*in*/,
                                                  std::int64_t out) const {
  const std::int64_t partial_sums = (cpu::blocks_of(n, cpu::reduction_rows) + 1) * out;
  return 2 * cpu::scratch_bytes<float>(out * width) + cpu::scratch_bytes<float>(partial_sums) +
         cpu::scratch_bytes<float>(std::int64_t{threads()} * tile_rows * tile_columns);
}

void CpuBackend::factored_linear(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                                 std::span<const LinearHead> heads, MatrixView m, MatrixView y,
                                 Workspace workspace) {
  const char* name = "factored_linear";
  const std::int64_t n = x.rows, in = x.columns, width = weight.rows, out = output_count(heads);
  checks::factored_linear(x, weight, bias, heads, m, y);
  cpu::Scratch scratch(name, workspace);
  const StackedHeads stacked(heads, width, scratch.take<float>(out * width));
  float* constants = scratch.take<float>(out);
  stacked.pack(*pool_);

  // M = C W, a segment at a time; rows that no segment has touched yet are zero.
  pool_->parallel_for(out, [&](std::int64_t i, int) { std::fill_n(m.row(i), in, 0.0f); });
  for_each_segment(heads, width, [&](const HeadSegment& segment) {
    matmul(Transpose::no, Transpose::no, 1.0f,
           stacked.c()
               .row_range(segment.first_row, segment.rows)
               .column_range(segment.first_column, segment.columns),
           weight.row_range(segment.first_column, segment.columns), 1.0f,
           m.row_range(segment.first_row, segment.rows));
  });
  // What is added to every row: C b and the heads' own biases.
  for (std::size_t r = 0; r < heads.size(); ++r) {
    const LinearHead& head = heads[r];
    float* part = constants + stacked.first_row(static_cast<std::int64_t>(r));
    for (std::int64_t i = 0; i < head.weight.rows; ++i) {
      const float* row = head.weight.row(i);
      const float* seen = bias.data() + head.first_column;
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t j = 0; j < head.weight.columns; ++j) sum += row[j] * seen[j];
      part[i] = sum + head.bias[i];
    }
  }
  pool_->parallel_for(cpu::blocks_of(n, cpu::reduction_rows), [&](std::int64_t block, int) {
    const std::int64_t first = block * cpu::reduction_rows, rows = std::min(cpu::reduction_rows, n - first);
    for (std::int64_t i = first; i < first + rows; ++i) std::copy_n(constants, out, y.row(i));
    cpu::gemm(Transpose::no, Transpose::yes, rows, out, in, 1.0f, x.row(first), x.leading_dimension, m.data,
              m.leading_dimension, 1.0f, y.row(first), y.leading_dimension);
  });
}

void CpuBackend::factored_linear_backward(ConstMatrixView x, ConstMatrixView weight, ConstVectorView bias,
                                          std::span<const LinearHead> heads, ConstMatrixView dy,
                                          MatrixView dm, std::span<const LinearHeadGradient> gradients,
                                          VectorView dbias, Workspace workspace) {
  const char* name = "factored_linear_backward";
  const std::int64_t n = x.rows, width = weight.rows, out = output_count(heads);
  checks::factored_linear_backward(x, weight, bias, heads, dy, dm, gradients, dbias);
  cpu::Scratch scratch(name, workspace);
  const StackedHeads stacked(heads, width, scratch.take<float>(out * width));
  const MatrixView dc(scratch.take<float>(out * width), out, width);
  const std::int64_t blocks = cpu::blocks_of(n, cpu::reduction_rows);
  float* sums = scratch.take<float>((blocks + 1) * out);
  float* partial_sums = sums + out;

  matmul(Transpose::yes, Transpose::no, 1.0f, dy, x, 0.0f, dm);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t first = block * cpu::reduction_rows;
    cpu::sum_rows(dy.row(first), dy.leading_dimension, std::min(cpu::reduction_rows, n - first), out,
                  partial_sums + block * out);
  });
  cpu::sum_partials(partial_sums, blocks, out, sums);
  for_each_segment(heads, width, [&](const HeadSegment& segment) {
    matmul(Transpose::no, Transpose::yes, 1.0f, dm.row_range(segment.first_row, segment.rows),
           weight.row_range(segment.first_column, segment.columns), 0.0f,
           dc.row_range(segment.first_row, segment.rows).column_range(segment.first_column, segment.columns));
  });

  std::fill(dbias.begin(), dbias.end(), 0.0f);
  for (std::size_t r = 0; r < heads.size(); ++r) {
    const LinearHead& head = heads[r];
    const LinearHeadGradient& gradient = gradients[r];
    const std::int64_t first = stacked.first_row(static_cast<std::int64_t>(r)), columns = head.weight.columns;
    for (std::int64_t i = 0; i < head.weight.rows; ++i) {
      const float sum = sums[first + i];
      const float* from = dc.row(first + i) + head.first_column;
      const float* seen = bias.data() + head.first_column;
      const float* row = head.weight.row(i);
      float* to = gradient.weight.row(i);
      float* db = dbias.data() + head.first_column;
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        to[j] = from[j] + sum * seen[j];
        db[j] += sum * row[j];
      }
      gradient.bias[i] = sum;
    }
  }
}

void CpuBackend::factored_linear_weight_gradient(std::span<const LinearHead> heads, ConstMatrixView dm,
                                                 MatrixView dweight, Workspace workspace) {
  const char* name = "factored_linear_weight_gradient";
  const std::int64_t out = output_count(heads);
  checks::factored_linear_weight_gradient(heads, dm, dweight);
  cpu::Scratch scratch(name, workspace);
  const StackedHeads stacked(heads, dweight.rows, scratch.take<float>(out * dweight.rows));
  float* tiles = scratch.take<float>(std::int64_t{threads()} * tile_rows * tile_columns);
  stacked.pack(*pool_);
  for_each_gradient_tile(*pool_, stacked, dm, tiles,
                         [&](std::int64_t row, std::int64_t column, MatrixView tile) {
                           for (std::int64_t i = 0; i < tile.rows; ++i) {
                             std::copy_n(tile.row(i), tile.columns, dweight.row(row + i) + column);
                           }
                         });
}

void CpuBackend::factored_linear_update(std::span<const LinearHead> heads, ConstMatrixView dm,
                                        MatrixView weight, MatrixView first_moment, MatrixView second_moment,
                                        const AdamSettings& settings, const OptimizerState* state,
                                        Workspace workspace) {
  const char* name = "factored_linear_update";
  const std::int64_t out = output_count(heads);
  checks::factored_linear_update(heads, dm, weight, first_moment, second_moment);
  cpu::Scratch scratch(name, workspace);
  const StackedHeads stacked(heads, weight.rows, scratch.take<float>(out * weight.rows));
  float* tiles = scratch.take<float>(std::int64_t{threads()} * tile_rows * tile_columns);
  stacked.pack(*pool_);
  const detail::AdamStep step = detail::adam_step(settings, state->learning_rate, state->step + 1);
  for_each_gradient_tile(*pool_, stacked, dm, tiles,
                         [&](std::int64_t row, std::int64_t column, MatrixView tile) {
                           for (std::int64_t i = 0; i < tile.rows; ++i) {
                             cpu::adam_update(step, weight.row(row + i) + column, tile.row(i),
                                              first_moment.row(row + i) + column,
                                              second_moment.row(row + i) + column, tile.columns);
                           }
                         });
}

}  // namespace sea
