#include <algorithm>
#include <cmath>

#include "cpu/check.hpp"
#include "cpu/row_blocks.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/rows.hpp"
#include "sea/detail/reduction.hpp"
#include "sea/fixed_dot.hpp"

namespace sea {

namespace {

constexpr const char* name = "reduce";

/// The sum of a row's terms; writes the row's gradient. `share` is what one term counts for in it.
double reduce_row(Reduction reduction, const float* in, std::int64_t width, double share, float* out) {
  if (reduction == Reduction::unit_norm_gap) {
    const detail::Term term = detail::unit_norm_gap(fixed_dot(in, in, width));
    const auto factor = static_cast<float>(share * term.slope);
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) out[j] = factor * in[j];
    return term.value;
  }
  double sum = 0.0;
  for (std::int64_t j = 0; j < width; ++j) {
    const detail::Term term = detail::element_term(reduction, in[j]);
    sum += term.value;
    out[j] = static_cast<float>(share * term.slope);
  }
  return sum;
}

}  // namespace

std::size_t CpuBackend::reduce_workspace(std::int64_t n, std::int64_t width) const {
  return cpu::scratch_bytes<double>(cpu::blocks_of(n, cpu::rows_per_block(width)));
}

void CpuBackend::reduce(ConstMatrixView x, Reduction reduction, const StepState* state, float weight,
                        float* loss, MatrixView dx, Workspace workspace) {
  const std::int64_t n = x.rows, width = x.columns, count = state != nullptr ? state->count : n;
  checks::reduce(x, dx);
  cpu::require_count(name, count, 1, n);
  const double divisor = detail::reduction_divisor(reduction, count, width), share = weight / divisor;
  const std::int64_t block_rows = cpu::rows_per_block(width), blocks = cpu::blocks_of(n, block_rows);
  double* sums = cpu::Scratch(name, workspace).take<double>(blocks);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(n, (block + 1) * block_rows);
    double sum = 0.0;
    for (std::int64_t i = block * block_rows; i < end; ++i) {
      if (i < count) {
        sum += reduce_row(reduction, x.row(i), width, share, dx.row(i));
      } else {
        std::fill_n(dx.row(i), width, 0.0f);
      }
    }
    sums[block] = sum;
  });
  double total = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) total += sums[block];
  *loss = static_cast<float>(total / divisor);
}

}  // namespace sea
