#include <cmath>

#include "common/batch_nodes.cuh"
#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"
#include "sea/detail/bpr_divisor.hpp"
#include "sea/detail/checks/losses.hpp"

// BPR, forward and backward.
//
// Floor: both gradients written once, (U + I) w floats (SEA on Baby: 13.6 MB), and six rows gathered for each
// triple, from the second-level cache (6.3 MB for a batch of 2,048); ten operations a gathered value.
//
// First a warp a triple: the difference of its two scores in double precision, its loss, and d loss / d
// difference. The same warps fill the gradients with zeros. Then a warp for each place in the batch's order:
// where a node's first source stands, it sums all the sources of that node, in their order, and writes the
// node's row. No two warps write one row, so that there is nothing to add atomically. One block more adds the
// losses up, always in the same order.

namespace sea {

namespace {

using cuda::Pack;

constexpr int block_threads = cuda::batch_block_threads;

struct Problem {
  ConstMatrixView users, items;
  BatchView batch;
  BatchOrderView order;
  const StepState* state;
  float* slopes;   ///< d (weight * loss) / d difference, a triple each
  double* losses;  ///< natural logarithms, a triple each
};

template <int width>
__global__ void __launch_bounds__(block_threads)
    bpr_loss_kernel(Problem p, BprSum sum, float weight, MatrixView d_users, MatrixView d_items) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t columns = p.users.columns, count = p.state->count;
  const std::int64_t i = cuda::warp_number();
  if (i < count) {
    const float* user = p.users.row(p.batch.users[i]);
    const float* positive = p.items.row(p.batch.positives[i]);
    const float* negative = p.items.row(p.batch.negatives[i]);
    double difference = 0.0;
    for (std::int64_t j = lane * width; j < columns; j += 32 * width) {
      const Pack<width> u = cuda::load_pack<width>(user + j);
      const Pack<width> a = cuda::load_pack<width>(positive + j), b = cuda::load_pack<width>(negative + j);
#pragma unroll
      for (int e = 0; e < width; ++e) {
        const double apart = static_cast<double>(a.value[e]) - static_cast<double>(b.value[e]);
        difference = __fma_rn(static_cast<double>(u.value[e]), apart, difference);
      }
    }
    difference = cuda::warp_sum(difference);
    if (lane == 0) {
      // log(1 + exp(-x)), and its slope -1 / (1 + exp(x)), from an exponential that cannot overflow.
      const double scale = static_cast<double>(weight) / detail::bpr_divisor(sum, count);
      const double small = exp(-fabs(difference));
      p.losses[i] = max(-difference, 0.0) + log1p(small);
      p.slopes[i] = static_cast<float>(scale * ((difference > 0.0 ? -small : -1.0) / (1.0 + small)));
    }
  }
  cuda::zero_gradients<width>(d_users, d_items);
}

/// Columns j, j + 1, ... of slope * d difference / d row, for a source of a user's row or of an item's.
template <bool of_user, int width>
__device__ void add_source(const Problem& p, std::int32_t source, std::int64_t j, Pack<width>& sum) {
  const auto batch_size = static_cast<std::int32_t>(p.batch.users.size());
  if constexpr (of_user) {
    const float slope = p.slopes[source];
    const Pack<width> a = cuda::load_pack<width>(&p.items(p.batch.positives[source], j));
    const Pack<width> b = cuda::load_pack<width>(&p.items(p.batch.negatives[source], j));
#pragma unroll
    for (int e = 0; e < width; ++e) {
      sum.value[e] = __fmaf_rn(slope, a.value[e] - b.value[e], sum.value[e]);
    }
  } else {
    const bool is_negative = source >= 2 * batch_size;
    const std::int32_t i = source - (is_negative ? 2 : 1) * batch_size;
    const float slope = is_negative ? -p.slopes[i] : p.slopes[i];
    const Pack<width> u = cuda::load_pack<width>(&p.users(p.batch.users[i], j));
#pragma unroll
    for (int e = 0; e < width; ++e) sum.value[e] = __fmaf_rn(slope, u.value[e], sum.value[e]);
  }
}

/// The row of the node whose sources start at `place`.
template <bool of_user, int width>
__device__ void sum_sources(const Problem& p, std::int64_t place, std::int64_t end, float* row, int lane) {
  for (std::int64_t j = lane * width; j < p.users.columns; j += 32 * width) {
    Pack<width> sum = {};
#pragma unroll 4
    for (std::int64_t s = place; s < end; ++s) add_source<of_user>(p, p.order.sources[s], j, sum);
    cuda::store_pack<width>(row + j, sum);
  }
}

__device__ void sum_losses(const Problem& p, BprSum how, float* loss) {
  struct Shared {
    double warp_sums[32];
  };
  const std::int64_t count = p.state->count;
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += block_threads) sum += p.losses[i];
  sum = cuda::block_sum<block_threads>(sum, cuda::shared_memory<Shared>().warp_sums);
  if (threadIdx.x == 0) {
    *loss = static_cast<float>(sum / detail::bpr_divisor(how, count));
  }
}

template <int width>
__global__ void __launch_bounds__(block_threads)
    bpr_gradient_kernel(Problem p, BprSum sum, float* loss, MatrixView d_users, MatrixView d_items) {
  if (blockIdx.x == gridDim.x - 1) {
    sum_losses(p, sum, loss);
    return;
  }
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t place = cuda::warp_number(), places = 3 * p.state->count;
  if (place >= places) return;
  const std::int64_t end = cuda::end_of_node(p.order, place, places);
  if (end == 0) return;
  const std::int32_t node = p.order.nodes[place];
  if (node < d_users.rows) {
    sum_sources<true, width>(p, place, end, d_users.row(node), lane);
  } else {
    sum_sources<false, width>(p, place, end, d_items.row(node - d_users.rows), lane);
  }
}

}  // namespace

std::size_t CudaBackend::bpr_workspace(std::int64_t batch_size, std::int64_t) const {
  return cuda::scratch_bytes<float>(batch_size) + cuda::scratch_bytes<double>(batch_size);
}

void CudaBackend::bpr(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                      const BatchOrderView& order, const StepState* state, BprSum sum, float weight,
                      float* loss, MatrixView d_users, MatrixView d_items, Workspace workspace) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::bpr(users, items, batch, order, d_users, d_items);

  cuda::Scratch scratch("bpr", workspace);
  float* slopes = scratch.take<float>(batch_size);
  const Problem problem{users, items, batch, order, state, slopes, scratch.take<double>(batch_size)};
  const auto start = [&](auto loss_kernel, auto gradient_kernel) {
    cuda::launch(context_->stream, "bpr",
                 {dim3(cuda::triple_blocks(batch_size, context_->multiprocessors)), dim3(block_threads)},
                 loss_kernel, problem, sum, weight, d_users, d_items);
    cuda::launch(context_->stream, "bpr",
                 {dim3(cuda::grid_size(cuda::blocks_of(3 * batch_size, cuda::batch_warps) + 1)),
                  dim3(block_threads), 32 * sizeof(double)},
                 gradient_kernel, problem, sum, loss, d_users, d_items);
  };
  if (users.columns % 4 == 0 && cuda::rows_aligned(users) && cuda::rows_aligned(items) &&
      cuda::rows_aligned(d_users) && cuda::rows_aligned(d_items)) {
    start(&bpr_loss_kernel<4>, &bpr_gradient_kernel<4>);
  } else {
    start(&bpr_loss_kernel<1>, &bpr_gradient_kernel<1>);
  }
}

}  // namespace sea
