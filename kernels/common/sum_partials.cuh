#pragma once

#include <cstdint>

#include "common/launch.cuh"
#include "common/reduce.cuh"

namespace sea::cuda {

/// The sum of `count` numbers, in every thread of a block of `threads`: thread t takes t, t + threads, ...,
/// then the threads' sums as `block_sum` does.
template <int threads>
__device__ __forceinline__ double sum_of_partials(const double* partials, std::int64_t count,
                                                  double* warp_sums) {
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += threads) sum += partials[i];
  return block_sum<threads>(sum, warp_sums);
}

namespace detail {

template <int threads>
__global__ void __launch_bounds__(threads)
    write_loss_kernel(const double* partials, std::int64_t count, double scale, float* loss) {
  struct Shared {
    double warp_sums[32];
  };
  const double sum = sum_of_partials<threads>(partials, count, shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) *loss = static_cast<float>(scale * sum);
}

}  // namespace detail

/// *loss = scale * the sum of the blocks' partial sums, in an order that depends on their number only. The
/// last step of a loss: one block, a microsecond.
inline void write_loss(cudaStream_t stream, const char* operator_name, const double* partials,
                       std::int64_t count, double scale, float* loss) {
  constexpr int threads = 256;
  launch(stream, operator_name, {dim3(1), dim3(threads), 32 * sizeof(double)},
         &detail::write_loss_kernel<threads>, partials, count, scale, loss);
}

}  // namespace sea::cuda
