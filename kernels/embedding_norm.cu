#include <cmath>

#include "common/batch_nodes.cuh"
#include "common/context.cuh"
#include "common/launch.cuh"
#include "common/reduce.cuh"
#include "sea/detail/checks/losses.hpp"

// The norms of a batch's rows, forward and backward.
//
// Floor: both gradients written once, (U + I) w floats (LightGCN on Baby: 6.8 MB), and three rows read for
// each triple, from the second-level cache. First a warp a triple: the squares of its three rows in double
// precision; the same warps fill the gradients with zeros. One block adds the squares up, always in the same
// order, and writes the loss and each role's multiple of its rows. Then a warp for each place in the batch's
// order: where a node's first source stands, it adds up the multiples of the node's sources in their order
// and writes its row.

namespace sea {

namespace {

using cuda::Pack;

constexpr const char* name = "embedding_norm";
constexpr int block_threads = cuda::batch_block_threads;

struct Problem {
  ConstMatrixView users, items;
  BatchView batch;
  BatchOrderView order;
  const StepState* state;
  double* squares;  ///< of each row, three times the batch size: users, positives, negatives
  double* factors;  ///< d (weight * loss) / d row as a multiple of the row, a role each
};

template <int width>
__device__ double square_of(const float* row, std::int64_t columns, int lane) {
  double sum = 0.0;
  for (std::int64_t j = lane * width; j < columns; j += 32 * width) {
    const Pack<width> pack = cuda::load_pack<width>(row + j);
#pragma unroll
    for (int e = 0; e < width; ++e) {
      const double value = pack.value[e];
      sum = __fma_rn(value, value, sum);
    }
  }
  return cuda::warp_sum(sum);
}

template <int width>
__global__ void __launch_bounds__(block_threads)
    row_squares_kernel(Problem p, std::int64_t batch_size, MatrixView d_users, MatrixView d_items) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t columns = p.users.columns, i = cuda::warp_number();
  if (i < p.state->count) {
    const double user = square_of<width>(p.users.row(p.batch.users[i]), columns, lane);
    const double positive = square_of<width>(p.items.row(p.batch.positives[i]), columns, lane);
    const double negative = square_of<width>(p.items.row(p.batch.negatives[i]), columns, lane);
    if (lane == 0) {
      p.squares[i] = user;
      p.squares[batch_size + i] = positive;
      p.squares[2 * batch_size + i] = negative;
    }
  }
  cuda::zero_gradients<width>(d_users, d_items);
}

struct Shared {
  double warp_sums[32];
};

/// One block.
__global__ void __launch_bounds__(block_threads)
    factors_kernel(Problem p, std::int64_t batch_size, EmbeddingNorm norm, float weight, float* loss) {
  const std::int64_t count = p.state->count;
  double total = 0.0;
  for (int role = 0; role < 3; ++role) {
    double square = 0.0;
    for (std::int64_t i = threadIdx.x; i < count; i += block_threads) {
      square += p.squares[role * batch_size + i];
    }
    square = cuda::block_sum<block_threads>(square, cuda::shared_memory<Shared>().warp_sums);
    if (threadIdx.x != 0) continue;
    if (norm == EmbeddingNorm::norms) {
      const double length = sqrt(square);
      total += length / static_cast<double>(count);
      p.factors[role] = length > 0.0 ? weight / (length * static_cast<double>(count)) : 0.0;
    } else {
      total += square / 2.0;
      p.factors[role] = weight;
    }
  }
  if (threadIdx.x == 0) *loss = static_cast<float>(total);
}

template <int width>
__global__ void __launch_bounds__(block_threads)
    scaled_rows_kernel(Problem p, std::int64_t batch_size, MatrixView d_users, MatrixView d_items) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t place = cuda::warp_number(), places = 3 * p.state->count;
  if (place >= places) return;
  const std::int64_t end = cuda::end_of_node(p.order, place, places);
  if (end == 0) return;
  double sum = 0.0;
  for (std::int64_t s = place; s < end; ++s) sum += p.factors[p.order.sources[s] / batch_size];
  const auto factor = static_cast<float>(sum);
  const std::int64_t node = p.order.nodes[place];
  const bool is_user = node < d_users.rows;
  const float* in = is_user ? p.users.row(node) : p.items.row(node - d_users.rows);
  float* out = is_user ? d_users.row(node) : d_items.row(node - d_users.rows);
  for (std::int64_t j = lane * width; j < p.users.columns; j += 32 * width) {
    Pack<width> pack = cuda::load_pack<width>(in + j);
#pragma unroll
    for (int e = 0; e < width; ++e) pack.value[e] *= factor;
    cuda::store_pack<width>(out + j, pack);
  }
}

}  // namespace

std::size_t CudaBackend::embedding_norm_workspace(std::int64_t batch_size) const {
  return cuda::scratch_bytes<double>(3 * batch_size) + cuda::scratch_bytes<double>(3);
}

void CudaBackend::embedding_norm(ConstMatrixView users, ConstMatrixView items, const BatchView& batch,
                                 const BatchOrderView& order, const StepState* state, EmbeddingNorm norm,
                                 float weight, float* loss, MatrixView d_users, MatrixView d_items,
                                 Workspace workspace) {
  const auto batch_size = static_cast<std::int64_t>(batch.users.size());
  checks::embedding_norm(users, items, batch, order, d_users, d_items);

  cuda::Scratch scratch(name, workspace);
  double* squares = scratch.take<double>(3 * batch_size);
  const Problem problem{users, items, batch, order, state, squares, scratch.take<double>(3)};
  const auto start = [&](auto squares_kernel, auto rows_kernel) {
    cuda::launch(context_->stream, name,
                 {dim3(cuda::triple_blocks(batch_size, context_->multiprocessors)), dim3(block_threads)},
                 squares_kernel, problem, batch_size, d_users, d_items);
    cuda::launch(context_->stream, name, {dim3(1), dim3(block_threads), sizeof(Shared)}, &factors_kernel,
                 problem, batch_size, norm, weight, loss);
    cuda::launch(
        context_->stream, name,
        {dim3(cuda::grid_size(cuda::blocks_of(3 * batch_size, cuda::batch_warps))), dim3(block_threads)},
        rows_kernel, problem, batch_size, d_users, d_items);
  };
  if (users.columns % 4 == 0 && cuda::rows_aligned(users) && cuda::rows_aligned(items) &&
      cuda::rows_aligned(d_users) && cuda::rows_aligned(d_items)) {
    start(&row_squares_kernel<4>, &scaled_rows_kernel<4>);
  } else {
    start(&row_squares_kernel<1>, &scaled_rows_kernel<1>);
  }
}

}  // namespace sea
