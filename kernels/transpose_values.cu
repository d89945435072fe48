#include <algorithm>

#include "common/context.cuh"
#include "common/launch.cuh"

// transposed[t] = values[permutation[t]]. Floor: 12 bytes a value, of which 4 are read here and there (a
// graph of 20 entries per row on Baby's 7,050 items: 1.7 MB, from the second-level cache). One thread a
// value; how many there are, the device knows.

namespace sea {

namespace {

constexpr int block_threads = 256;

__global__ void __launch_bounds__(block_threads)
    transpose_values_kernel(CsrPatternView transpose, const std::int32_t* permutation, const float* values,
                            float* transposed, std::int64_t places) {
  const std::int64_t t =
      transpose.row_offsets[0] + static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x;
  if (t < places && t < transpose.row_offsets[transpose.rows]) transposed[t] = values[permutation[t]];
}

}  // namespace

void CudaBackend::transpose_values(const CsrPatternView& transpose, ConstIndexView permutation,
                                   ConstVectorView values, VectorView transposed) {
  const auto places = static_cast<std::int64_t>(std::min(permutation.size(), transposed.size()));
  cuda::launch(context_->stream, "transpose_values",
               {dim3(cuda::grid_size(cuda::blocks_of(places, block_threads))), dim3(block_threads)},
               &transpose_values_kernel, transpose, permutation.data(), values.data(), transposed.data(),
               places);
}

}  // namespace sea
