#include "common/context.cuh"
#include "common/launch.cuh"
#include "sea/detail/checks/steps.hpp"

namespace sea {

namespace {

// One warp. A lane holds a term's product, exact in double precision, and every lane adds the products in the
// order of the terms: the total has the bits of the CPU's.
__global__ void __launch_bounds__(32)
    accumulate_losses_kernel(float* terms, const float* weights, double* sums, std::int64_t weight_count) {
  const int lane = static_cast<int>(threadIdx.x);
  double total = 0.0;
  for (std::int64_t first = 0; first < weight_count; first += 32) {
    const std::int64_t t = first + lane;
    double product = 0.0;
    if (t < weight_count) {
      const double term = terms[t];
      product = static_cast<double>(weights[t]) * term;
      sums[t] += term;
    }
    for (int other = 0; other < 32; ++other) total += __shfl_sync(cuda::full_warp, product, other);
  }
  if (lane > 0) return;
  const auto rounded = static_cast<float>(total);
  terms[weight_count] = rounded;
  sums[weight_count] += static_cast<double>(rounded);
}

}  // namespace

void CudaBackend::accumulate_losses(VectorView terms, ConstVectorView weights, std::span<double> sums) {
  checks::accumulate_losses(terms, weights, sums);
  const auto count = static_cast<std::int64_t>(terms.size());
  cuda::launch(context_->stream, "accumulate_losses", {dim3(1), dim3(32)}, &accumulate_losses_kernel,
               terms.data(), weights.data(), sums.data(), count - 1);
}

}  // namespace sea
