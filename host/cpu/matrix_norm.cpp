#include "sea/detail/matrix_norm.hpp"

#include <algorithm>

#include "cpu/check.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"
#include "sea/fixed_dot.hpp"

namespace sea {

namespace {

constexpr const char* name = "matrix_norm";

double square_of_row(const float* row, std::int64_t size) {
  if (size >= fixed_dot_lanes) return fixed_dot(row, row, size);
  double sum = 0.0;
  for (std::int64_t j = 0; j < size; ++j) sum += static_cast<double>(row[j]) * static_cast<double>(row[j]);
  return sum;
}

}  // namespace

std::size_t CpuBackend::matrix_norm_workspace(std::int64_t n, std::int64_t width) const {
  return cpu::scratch_bytes<double>(cpu::blocks_of(n, cpu::rows_per_block(width)));
}

void CpuBackend::matrix_norm(ConstMatrixView x, MatrixNorm norm, double divisor, const StepState* state,
                             float weight, float* loss, MatrixView dx, Workspace workspace) {
  const std::int64_t n = x.rows, width = x.columns, count = state != nullptr ? state->count : n;
  checks::matrix_norm(x, divisor, dx);
  cpu::require_count(name, count, 1, n);

  const std::int64_t block_rows = cpu::rows_per_block(width), blocks = cpu::blocks_of(count, block_rows);
  double* sums = cpu::Scratch(name, workspace).take<double>(blocks);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(count, (block + 1) * block_rows);
    double sum = 0.0;
    for (std::int64_t i = block * block_rows; i < end; ++i) sum += square_of_row(x.row(i), width);
    sums[block] = sum;
  });
  double squares = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) squares += sums[block];

  const detail::NormOfSquares result = detail::norm_of_squares(norm, squares, count * width, divisor);
  *loss = static_cast<float>(result.value);
  const auto factor = static_cast<float>(weight * result.slope);
  cpu::for_each_row(*pool_, n, width, [&](std::int64_t i) {
    const float* in = x.row(i);
    float* out = dx.row(i);
    if (i >= count) {
      std::fill_n(out, width, 0.0f);
      return;
    }
    const float scale = factor;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) out[j] = scale * in[j];
  });
}

}  // namespace sea
