#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"
#include "sea/detail/checks/losses.hpp"
#include "sea/detail/decoder_terms.hpp"

// PAMD's contrast of decoded features, from three cosines a row.
//
// Floor: 24 bytes per row, nothing: one launch. One block, since the sum over all rows stands in every row's
// logarithm and a batch has a hundred rows to a few thousand: the sum, the rows' terms, and the gradient of
// the sum, with a barrier between them. Sums in double precision.

namespace sea {

namespace {

constexpr int block_threads = 256;

struct Shared {
  double warp_sums[32];
};

// One block a multiprocessor is all there is: with room for more of them ptxas would spill.
__global__ void __launch_bounds__(block_threads, 1)
    decoder_loss_kernel(ConstMatrixView cosines, double inverse, const StepState* state, float weight,
                        float* loss, MatrixView d_cosines) {
  double* const warp_sums = cuda::shared_memory<Shared>().warp_sums;
  const std::int64_t n = cosines.rows, count = state != nullptr ? state->count : n;
  const double share = static_cast<double>(weight) * inverse / static_cast<double>(count);
  double s = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += block_threads) s += inverse * cosines(i, 2);
  s = cuda::block_sum<block_threads>(s, warp_sums);
  double sum = 0.0, ds = 0.0;
  for (std::int64_t i = threadIdx.x; i < n; i += block_threads) {
    if (i >= count) {
      d_cosines(i, 0) = d_cosines(i, 1) = 0.0f;
      continue;
    }
    const detail::DecoderTerms terms =
        detail::decoder_terms(inverse * cosines(i, 0), inverse * cosines(i, 1), s);
    sum += terms.loss;
    ds += terms.ds;
    d_cosines(i, 0) = static_cast<float>(share * terms.dp);
    d_cosines(i, 1) = static_cast<float>(share * terms.dq);
  }
  sum = cuda::block_sum<block_threads>(sum, warp_sums);
  ds = cuda::block_sum<block_threads>(ds, warp_sums);
  for (std::int64_t i = threadIdx.x; i < n; i += block_threads)
    d_cosines(i, 2) = i < count ? static_cast<float>(share * ds) : 0.0f;
  if (threadIdx.x == 0) *loss = static_cast<float>(sum / static_cast<double>(count));
}

}  // namespace

void CudaBackend::decoder_loss(ConstMatrixView cosines, float temperature, const StepState* state,
                               float weight, float* loss, MatrixView d_cosines) {
  constexpr const char* name = "decoder_loss";
  checks::decoder_loss(cosines, temperature, d_cosines);
  cuda::launch(context_->stream, name, {dim3(1), dim3(block_threads), sizeof(Shared)}, &decoder_loss_kernel,
               cosines, 1.0 / static_cast<double>(temperature), state, weight, loss, d_cosines);
}

}  // namespace sea
