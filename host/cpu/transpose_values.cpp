#include <algorithm>

#include "cpu/check.hpp"
#include "cpu/scratch.hpp"
#include "cpu/thread_pool.hpp"
#include "sea/cpu.hpp"

namespace sea {

void CpuBackend::transpose_values(const CsrPatternView& transpose, ConstIndexView permutation,
                                  ConstVectorView values, VectorView transposed) {
  constexpr std::int64_t values_per_block = 16384;
  const std::int64_t begin = transpose.row_offsets[0], end = transpose.row_offsets[transpose.rows];
  cpu::require(static_cast<std::int64_t>(std::min(permutation.size(), transposed.size())) >= end,
               "transpose_values", "permutation and transposed must have a place for every entry");
  const auto size = static_cast<std::int64_t>(values.size());
  pool_->parallel_for(cpu::blocks_of(end - begin, values_per_block), [&](std::int64_t block, int) {
    const std::int64_t first = begin + block * values_per_block;
    const std::int64_t last = std::min(end, first + values_per_block);
    for (std::int64_t t = first; t < last; ++t) {
      const std::int32_t entry = permutation[t];
      cpu::require(entry >= 0 && entry < size, "transpose_values", "permutation must name entries of values");
      transposed[t] = values[entry];
    }
  });
}

}  // namespace sea
