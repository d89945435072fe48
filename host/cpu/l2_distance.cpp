#include <algorithm>

#include "cpu/row_blocks.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"
#include "sea/detail/checks/losses.hpp"

namespace sea {

namespace {

constexpr const char* name = "l2_distance";

}  // namespace

void CpuBackend::l2_distance(ConstMatrixView generic, ConstMatrixView unique, float weight, float* loss,
                             MatrixView d_generic, MatrixView d_unique, Workspace workspace) {
  const std::int64_t n = generic.rows;
  const std::int64_t width = generic.columns;
  checks::l2_distance(generic, unique, d_generic, d_unique);

  const std::int64_t block_rows = cpu::rows_per_block(width);
  const std::int64_t blocks = cpu::blocks_of(n, block_rows);
  double* sums = cpu::Scratch(name, workspace).take<double>(blocks);
  const double size = static_cast<double>(n) * static_cast<double>(width);
  const auto slope = static_cast<float>(-2.0 * static_cast<double>(weight) / size);
  pool_->parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(n, (block + 1) * block_rows);
    double block_sum = 0.0;
    for (std::int64_t i = block * block_rows; i < end; ++i) {
      const float* from_generic = generic.row(i);
      const float* from_unique = unique.row(i);
      float* to_generic = d_generic.row(i);
      float* to_unique = d_unique.row(i);
      double row_sum = 0.0;
#pragma omp simd reduction(+ : row_sum)
      for (std::int64_t j = 0; j < width; ++j) {
        const float difference = from_generic[j] - from_unique[j];
        row_sum += static_cast<double>(difference) * static_cast<double>(difference);
        to_generic[j] = slope * difference;
        to_unique[j] = -slope * difference;
      }
      block_sum += row_sum;
    }
    sums[block] = block_sum;
  });
  double sum = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) sum += sums[block];
  *loss = static_cast<float>(-sum / size);
}

std::size_t CpuBackend::l2_distance_workspace(std::int64_t n, std::int64_t width) const {
  return cpu::scratch_bytes<double>(cpu::blocks_of(n, cpu::rows_per_block(width)));
}

}  // namespace sea
