#include <algorithm>
#include <cmath>

#include "cpu/check.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"
#include "sea/fixed_dot.hpp"

namespace sea {

namespace {

constexpr const char* name = "cosine_loss";
constexpr double smallest_norm = 1e-8;
constexpr std::int64_t rows_per_task = 64;

}  // namespace

std::size_t CpuBackend::cosine_loss_workspace(std::int64_t rows) const {
  return cpu::scratch_bytes<double>(cpu::blocks_of(rows, rows_per_task));
}

void CpuBackend::cosine_loss(ConstMatrixView x, ConstMatrixView target, const StepState* state, float weight,
                             float* loss, MatrixView dx, Workspace workspace) {
  const std::int64_t rows = x.rows, width = x.columns;
  checks::cosine_loss(x, target, dx);
  const std::int64_t count = state != nullptr ? state->count : rows;
  cpu::require_count(name, count, 1, rows);

  const std::int64_t blocks = cpu::blocks_of(rows, rows_per_task);
  double* losses = cpu::Scratch(name, workspace).take<double>(blocks);
  const double share = static_cast<double>(weight) / static_cast<double>(count);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(rows, (block + 1) * rows_per_task);
    double sum = 0.0;
    for (std::int64_t i = block * rows_per_task; i < end; ++i) {
      float* out = dx.row(i);
      if (i >= count) {
        std::fill_n(out, width, 0.0f);
        continue;
      }
      const float *from_x = x.row(i), *from_target = target.row(i);
      const double x_norm = std::max(std::sqrt(fixed_dot(from_x, from_x, width)), smallest_norm);
      const double target_norm =
          std::max(std::sqrt(fixed_dot(from_target, from_target, width)), smallest_norm);
      const double cosine = fixed_dot(from_x, from_target, width) / (x_norm * target_norm);
      sum += 1.0 - cosine;
      // A norm at its floor does not move with its row.
      const auto towards = static_cast<float>(-share / (x_norm * target_norm));
      const auto inward =
          static_cast<float>(x_norm > smallest_norm ? share * cosine / (x_norm * x_norm) : 0.0);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) out[j] = towards * from_target[j] + inward * from_x[j];
    }
    losses[block] = sum;
  });
  double total = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) total += losses[block];
  *loss = static_cast<float>(total / static_cast<double>(count));
}

}  // namespace sea
